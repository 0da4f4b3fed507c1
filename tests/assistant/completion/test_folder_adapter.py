"""Files of a folder are completed with the adapter of the folder."""

from __future__ import annotations

import pytest

from git_copilot.assistant.adapters.folder_adapters import use_for
from git_copilot.assistant.adapters.removal import remove
from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.completion.complete import complete
from git_copilot.assistant.completion.request import find_place
from git_copilot.assistant.completion.session import Session
from tests.support.initialised_repo import initialise_repository
from tests.support.tiny_adapters import add_adapter
from tests.support.tiny_models import UNFINISHED, save_tiny

APP = "def beta(name):\n    return alpha(name)\n" + UNFINISHED


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", fim=True)


@pytest.fixture
def project(repo, tiny):
    repo.commit({"web/app.py": APP, "api/app.py": APP, "api/old/app.py": APP})
    return initialise_repository(repo, tiny, maxTokens="8")


def ask(project, session, path, **more):
    notes = []
    request = CompleteRequest(f"{path}:2", project.path, retrieval=False, **more)
    answer = complete(request, find_place(request), session, Callbacks(notes.append))
    return answer, notes


def test_each_folder_is_served_as_if_it_were_alone(project, tiny):
    head = project.git("rev-parse", "HEAD")
    own, other = (add_adapter(project, tiny, second, head) for second in (10, 20))
    state = project.git_dir / "copilot"
    use_for(state, "api", own)
    use_for(state, "api/old", "none")
    wanted = {"web/app.py": other, "api/app.py": own, "api/old/app.py": None}
    session = Session()
    try:
        for path in (*wanted, *reversed(wanted)):
            answer, notes = ask(project, session, path)
            assert (answer.adapter, notes) == (wanted[path], [])
            alone = Session()
            expected = ask(project, alone, path, adapter=wanted[path] or "none")[0]
            alone.close()
            assert answer.completion == expected.completion
        assert ask(project, session, "api/app.py", adapter=other)[0].adapter == other
        remove(state, own)
        assert ask(project, session, "api/app.py")[0].adapter == other
        use_for(state, "api", other)
        (state / "adapters" / other / "adapter_model.safetensors").write_bytes(b"")
        answer, notes = ask(project, session, "api/app.py")
        assert answer.adapter is None
        assert "working without the adapter" in notes[0]
    finally:
        session.close()
