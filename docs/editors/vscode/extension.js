// Starts the language server of git-copilot; the language client does the rest.
const { commands, window, workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function start() {
  const command = workspace.getConfiguration("gitCopilot").get("command", "git-copilot");
  const server = { command, args: ["lsp"] };
  const options = {
    // All files of this machine, and cells of notebooks.
    documentSelector: [{ scheme: "file" }, { scheme: "vscode-notebook-cell" }],
  };
  client = new LanguageClient("git-copilot", "git-copilot", server, options);
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    window.showErrorMessage(
      `git-copilot: \`${command} lsp\` did not start (${error.message}); set gitCopilot.command`,
    );
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running) await running.stop();
}

async function activate(context) {
  const restart = commands.registerCommand("gitCopilot.restart", async () => {
    await stop();
    await start();
  });
  context.subscriptions.push(restart);
  await start();
}

module.exports = { activate, deactivate: stop };
