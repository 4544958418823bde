/** The client files themselves: how they can be loaded, how small they are, what their types say. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { gzipSync } from 'node:zlib';
import { minify } from 'terser';
import ts from 'typescript';

const CLIENT = new URL('../../src/assets/client/', import.meta.url);
/**
 * The globals of each file, and what it may weigh in bytes. The goal is 3 KiB, and 5 for p2p; the last three are above it,
 * as all that they still hold is promised.
 */
const FILES = {
  webshare: [['WebShare'], 3 * 1024],
  named: [['LocalWebSocket', 'BroadcastWebSocket', 'NetworkWebSocket'], 3 * 1024],
  // The plugin, and a whole Socket.IO client.
  p2p: [['p2pClientPlugin', 'connectP2p'], 5328],
  // Every form of an address, and the life of several sockets.
  'pocket.socket': [['pocket', 'AddressException'], 3392],
  // Two clients: of TCP, over two kinds of sockets, and of redis.
  ws2s: [['WS2S'], 3656],
};

for (const [file, [names, budget]] of Object.entries(FILES)) {
  const text = await readFile(new URL(`${file}.js`, CLIENT), 'utf8');

  test(`${file}.js is at most ${budget} bytes minified and gzipped`, async (t) => {
    const { code } = await minify(text, { ecma: 2022, toplevel: true, compress: { passes: 2 } });
    const size = gzipSync(code, { level: 9 }).length;
    t.diagnostic(`${file}.js: ${size} bytes`);
    assert.ok(size <= budget, `${size} bytes`);
  });

  test(`${file}.js is a classic script that may be loaded twice and leaves only its names`, () => {
    const context = vm.createContext({ EventTarget, Event, TextDecoder, TextEncoder });
    const before = Object.getOwnPropertyNames(vm.runInContext('globalThis', context));
    for (let i = 0; i < 2; i += 1) new vm.Script(text, { filename: `${file}.js` }).runInContext(context);
    const after = Object.getOwnPropertyNames(vm.runInContext('globalThis', context));
    assert.deepEqual(after.filter((name) => !before.includes(name)), names);
    for (const name of names) assert.notEqual(vm.runInContext(`typeof ${name}`, context), 'undefined');
  });

  test(`${file} is loaded by require and by import, with the same names`, async () => {
    const required = createRequire(import.meta.url)(fileURLToPath(new URL(`${file}.js`, CLIENT)));
    const imported = await import(new URL(`${file}.mjs`, CLIENT));
    assert.deepEqual(Object.keys(required), names);
    assert.deepEqual(Object.keys(imported).sort(), [...names].sort());
    for (const name of names) {
      assert.equal(required[name], imported[name]);
      assert.equal(required[name], globalThis[name]);
    }
  });
}

/** The functions of this name in all files, without the comments before them. */
const shared = async (name) => {
  const texts = await Promise.all(Object.keys(FILES).map((file) => readFile(new URL(`${file}.js`, CLIENT), 'utf8')));
  return texts.map((text) => new RegExp(`^  const ${name} = [^]*?^(  };|    /\\^[^\\n]*;)$`, 'm').exec(text)?.[0]).filter(Boolean);
};
for (const [name, count] of [['keeper', 5], ['call', 5], ['urlOf', 4]]) {
  test(`${name} is the same in ${count} clients`, async () => {
    const texts = await shared(name);
    assert.equal(texts.length, count);
    assert.equal(new Set(texts).size, 1);
  });
}

test('named.js knows the script that it came from', async () => {
  const text = await readFile(new URL('named.js', CLIENT), 'utf8');
  const document = { currentScript: { src: 'http://pi:9009/client/named.js' } };
  const context = vm.createContext({ EventTarget, Event, document });
  vm.runInContext(text, context);
  assert.equal(vm.runInContext('LocalWebSocket.script', context), 'http://pi:9009/client/named.js');
  const { BroadcastWebSocket } = await import(new URL('named.mjs', CLIENT));
  assert.match(BroadcastWebSocket.script, /\/client\/named\.mjs$/);
});

test('the types allow what the clients do, and nothing else', () => {
  const program = ts.createProgram([fileURLToPath(new URL('support/types.ts', import.meta.url))], {
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
    module: ts.ModuleKind.NodeNext,
    noEmit: true,
    strict: true,
    target: ts.ScriptTarget.ES2022,
    types: [],
  });
  const problems = ts.getPreEmitDiagnostics(program).map((problem) => {
    const line = problem.file?.getLineAndCharacterOfPosition(problem.start).line;
    return `${problem.file?.fileName}:${line + 1}: ${ts.flattenDiagnosticMessageText(problem.messageText, ' ')}`;
  });
  assert.deepEqual(problems, []);
});
