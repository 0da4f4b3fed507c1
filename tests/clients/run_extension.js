// Runs docs/editors/vscode/extension.js with the real vscode-languageclient on a stand-in for VS Code.
// node run_extension.js EXTENSION FILE, with the environment's COMMAND.
const Module = require("node:module");
const path = require("node:path");

const standIn = require.resolve("./vscode_api.js");
const resolve = Module._resolveFilename;
Module._resolveFilename = function (name, ...rest) {
  return name === "vscode" ? standIn : resolve.call(this, name, ...rest);
};
const vscode = require("vscode");

function textDocument(file, text) {
  return {
    uri: vscode.Uri.file(file),
    fileName: file,
    languageId: "python",
    version: 1,
    isDirty: true,
    isClosed: false,
    getText: () => text,
  };
}

async function main(extension, file) {
  const { activate, deactivate } = require(path.resolve(extension));
  const document = textDocument(file, "# 😀\nx = \n");
  vscode.workspace.textDocuments.push(document);
  await activate({ subscriptions: [] });
  const [provider] = vscode.kept.providers;
  const { token } = new vscode.CancellationTokenSource();
  const ask = (kind) =>
    provider.provideInlineCompletionItems(
      document,
      new vscode.Position(1, 4),
      { triggerKind: kind, selectedCompletionInfo: undefined },
      token,
    );
  const kinds = vscode.InlineCompletionTriggerKind;
  const automatic = await ask(kinds.Automatic);
  const invoked = await ask(kinds.Invoke);
  const [item] = automatic.items;
  await vscode.kept.commands.get(item.command.command)(...item.command.arguments);
  const commands = [...vscode.kept.commands.keys()];
  await vscode.kept.commands.get("gitCopilot.restart")();
  const restarted = vscode.kept.providers.length;
  await deactivate();
  const texts = (list) => list.items.map((each) => each.insertText);
  const result = { automatic: texts(automatic), invoked: texts(invoked), commands, restarted };
  process.stdout.write(`${JSON.stringify({ ...result, range: item.range })}\n`);
}

main(process.argv[2], process.argv[3]).catch((error) => {
  process.stderr.write(`${error.stack}\n${vscode.kept.messages.join("\n")}\n`);
  process.exitCode = 1;
});
