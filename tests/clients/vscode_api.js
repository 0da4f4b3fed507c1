// A stand-in for the API that VS Code gives to extensions: as much as the language client uses for
// documents, inline completion and commands. Events and providers are kept for the test.
const path = require("node:path");
const { pathToFileURL, fileURLToPath } = require("node:url");

class EventEmitter {
  constructor() {
    this.listeners = new Set();
    this.event = (listener, self) => {
      const bound = self ? listener.bind(self) : listener;
      this.listeners.add(bound);
      return { dispose: () => this.listeners.delete(bound) };
    };
  }
  fire(value) {
    return [...this.listeners].map((listener) => listener(value));
  }
  dispose() {}
}
class Position {
  constructor(line, character) {
    Object.assign(this, { line, character });
  }
}
class Range {
  constructor(line, character, lastLine, lastCharacter) {
    this.start = new Position(line, character);
    this.end = new Position(lastLine, lastCharacter);
  }
}
class Disposable {
  constructor(dispose) {
    this.dispose = dispose;
  }
}
class Uri {
  static parse(text) {
    const uri = new Uri();
    uri.text = text;
    uri.scheme = text.split(":")[0];
    uri.fsPath = uri.scheme === "file" ? fileURLToPath(text) : text;
    uri.path = uri.fsPath;
    return uri;
  }
  static file(name) {
    return Uri.parse(pathToFileURL(path.resolve(name)).href);
  }
  toString() {
    return this.text;
  }
  with() {
    return this;
  }
}
class CancellationError extends Error {}
class CancellationTokenSource {
  constructor() {
    const emitter = new EventEmitter();
    this.token = { isCancellationRequested: false, onCancellationRequested: emitter.event };
    this.cancel = () => {
      this.token.isCancellationRequested = true;
      emitter.fire();
    };
  }
  dispose() {}
}
class InlineCompletionItem {
  constructor(insertText, range, command) {
    Object.assign(this, { insertText, range, command });
  }
}
class InlineCompletionList {
  constructor(items) {
    this.items = items;
  }
}

const events = {};
const on = (name) => (events[name] ??= new EventEmitter()).event;
const kept = { providers: [], commands: new Map(), messages: [], events };
const nothing = () => new Disposable(() => {});
const fallback = (known) =>
  new Proxy(known, {
    get(target, name) {
      if (name in target || typeof name === "symbol") return target[name];
      return /^on[A-Z]/.test(name) ? on(name) : nothing;
    },
  });

const channel = () => {
  const write = (text) => kept.messages.push(String(text));
  const names = ["append", "appendLine", "trace", "debug", "info", "warn", "error"];
  const known = Object.fromEntries(names.map((name) => [name, write]));
  return { ...known, show() {}, clear() {}, dispose() {}, onDidChangeLogLevel: on("level") };
};
const message = async (text) => void kept.messages.push(text);

const api = {
  kept, EventEmitter, Position, Range, Disposable, Uri, CancellationError, CancellationTokenSource,
  InlineCompletionItem, InlineCompletionList,
  version: "1.105.0",
  InlineCompletionTriggerKind: { Invoke: 0, Automatic: 1 },
  LogLevel: { Off: 0, Trace: 1, Debug: 2, Info: 3, Warning: 4, Error: 5 },
  ProgressLocation: { Window: 10, Notification: 15 },
  env: { appName: "stand-in", language: "en", logLevel: 3, onDidChangeLogLevel: on("level") },
  commands: {
    registerCommand(name, run) {
      if (kept.commands.has(name)) throw new Error(`command '${name}' already exists`);
      kept.commands.set(name, run);
      return new Disposable(() => kept.commands.delete(name));
    },
  },
  languages: fallback({
    match: (selector, document) =>
      [selector].flat().some((one) => one.scheme === document.uri.scheme) ? 10 : 0,
    createDiagnosticCollection: () => ({ set() {}, delete() {}, clear() {}, dispose() {} }),
    registerInlineCompletionItemProvider(selector, provider) {
      kept.providers.push(provider);
      return nothing();
    },
  }),
  window: fallback({
    tabGroups: { all: [], onDidChangeTabs: on("tabs") },
    visibleTextEditors: [],
    createOutputChannel: channel,
    showErrorMessage: message,
    showWarningMessage: message,
    showInformationMessage: message,
    withProgress: (_, run) => run({ report() {} }, new CancellationTokenSource().token),
  }),
  workspace: fallback({
    textDocuments: [],
    notebookDocuments: [],
    workspaceFolders: undefined,
    getConfiguration: () => ({
      get: (name, other) => (name === "command" ? process.env.COMMAND : other),
    }),
    createFileSystemWatcher: () => fallback({ dispose() {} }),
  }),
};

// Whatever else there is: classes to extend and constants to compare with.
module.exports = new Proxy(api, {
  get(target, name) {
    if (!(name in target) && typeof name === "string") target[name] = class {};
    return target[name];
  },
});
