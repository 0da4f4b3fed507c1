// Asks with vscode-languageserver-protocol, whose types are those of the specification.
// node protocol_client.js MODULES FILE, with the environment's COMMAND.
const { spawn } = require("node:child_process");
const { createRequire } = require("node:module");
const { pathToFileURL } = require("node:url");
const path = require("node:path");

async function main(modules, file) {
  const load = createRequire(path.resolve(modules, "index.js"));
  const protocol = load("vscode-languageserver-protocol/node");
  const server = spawn(process.env.COMMAND, ["lsp", "--stdio"], { stdio: ["pipe", "pipe", "inherit"] });
  const connection = protocol.createProtocolConnection(
    new protocol.StreamMessageReader(server.stdout),
    new protocol.StreamMessageWriter(server.stdin),
  );
  connection.listen();
  const uri = pathToFileURL(file).href;
  const result = await connection.sendRequest(protocol.InitializeRequest.type, {
    processId: process.pid,
    rootUri: null,
    capabilities: { general: { positionEncodings: ["utf-16"] } },
    workspaceFolders: [{ uri: pathToFileURL(path.dirname(file)).href, name: "one" }],
  });
  await connection.sendNotification(protocol.InitializedNotification.type, {});
  await connection.sendNotification(protocol.DidOpenTextDocumentNotification.type, {
    textDocument: { uri, languageId: "python", version: 1, text: "x\n" },
  });
  await connection.sendNotification(protocol.DidChangeTextDocumentNotification.type, {
    textDocument: { uri, version: 2 },
    contentChanges: [{ range: { start: { line: 0, character: 1 }, end: { line: 0, character: 1 } }, text: " = 😀f" }],
  });
  const params = {
    textDocument: { uri },
    position: { line: 0, character: 7 },
    context: { triggerKind: protocol.InlineCompletionTriggerKind.Invoked },
  };
  const list = await connection.sendRequest(protocol.InlineCompletionRequest.type, params);
  const cancelled = new protocol.CancellationTokenSource();
  const second = connection.sendRequest(protocol.InlineCompletionRequest.type, params, cancelled.token);
  cancelled.cancel();
  const code = await second.then(() => "answered", (error) => error.code);
  await connection.sendRequest(protocol.ShutdownRequest.type);
  await connection.sendNotification(protocol.ExitNotification.type);
  const exit = await new Promise((resolve) => server.on("exit", resolve));
  const told = { encoding: result.capabilities.positionEncoding, items: list.items, code, exit };
  process.stdout.write(`${JSON.stringify(told)}\n`);
}

main(process.argv[2], process.argv[3]).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
