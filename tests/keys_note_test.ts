import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { checkpointOf, isKeyName, noteSigner, noteVerifier, openNote, SIGNATURES_MAX } from "../adapters/keys/note.ts";

// The vectors of golang.org/x/mod/sumdb/note, which C2SP signed-note describes.
const PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_SEED = Buffer.from("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz", "base64").subarray(1);
const ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const PETER_LINE =
  "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_LINE =
  "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";
const NOTE = `${TEXT}\n${PETER_LINE}`;
const ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

Deno.test("a note is signed to the published bytes", () => {
  const signer = noteSigner("PeterNeumann", PETER_SEED);
  assert.equal(signer.vkey, PETER);
  assert.equal(signer.note(TEXT), NOTE);
});

Deno.test("a note opens with either of its signers' keys and passes over the other", () => {
  for (const vkey of [PETER, ENOCH]) assert.equal(openNote(NOTE + ENOCH_LINE, noteVerifier(vkey)!), TEXT);
});

Deno.test("a note opens with no key that did not sign it", () => {
  assert.equal(openNote(NOTE, noteVerifier(ENOCH)!), undefined);
  const other = noteSigner("PeterNeumann", Buffer.alloc(32, 1));
  assert.equal(openNote(NOTE, noteVerifier(other.vkey)!), undefined);
});

Deno.test("a note does not open when it is malformed or altered", () => {
  const peter = noteVerifier(PETER)!;
  const bad = [
    TEXT,
    `${TEXT}\n`,
    NOTE.slice(0, -1),
    `\x01${NOTE}`,
    `\ud800${NOTE}`,
    `${TEXT}\n${PETER_LINE.replace("PeterNeumann", "Bad Name")}`,
    `${NOTE}Unexpected line.\n`,
    NOTE.replace("cryptography", "cryptographY"),
    `${TEXT}\n${PETER_LINE.slice(0, 60)}ABCD${PETER_LINE.slice(60)}`,
    `${TEXT}\n${PETER_LINE}${PETER_LINE.slice(0, 60)}ABCD${PETER_LINE.slice(60)}`,
    `${TEXT}\n— PeterNeumann AAAA\n`,
  ];
  for (const note of bad) assert.equal(openNote(note, peter), undefined, note);
});

Deno.test("a note opens with up to SIGNATURES_MAX signatures", () => {
  const peter = noteVerifier(PETER)!;
  assert.equal(openNote(`${TEXT}\n${PETER_LINE.repeat(SIGNATURES_MAX)}`, peter), TEXT);
  assert.equal(openNote(`${TEXT}\n${PETER_LINE.repeat(SIGNATURES_MAX + 1)}`, peter), undefined);
});

Deno.test("a public key is refused when any part of it is altered or cut", () => {
  for (let i = 0; i <= PETER.length; i++) {
    for (let j = i + 1; j <= PETER.length; j++) {
      if (i !== 0 || j !== PETER.length) assert.equal(noteVerifier(PETER.slice(i, j)), undefined, PETER.slice(i, j));
    }
  }
  for (let i = 0; i < PETER.length; i++) {
    const altered = PETER.slice(0, i) + String.fromCharCode(PETER.charCodeAt(i) + 1) + PETER.slice(i + 1);
    assert.equal(noteVerifier(altered), undefined, altered);
  }
  // Wrong length, and unknown algorithm, each with the key id that would fit.
  assert.equal(noteVerifier("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY=="), undefined);
  assert.equal(noteVerifier("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"), undefined);
});

Deno.test("a checkpoint says origin, size and root, and opens with the public key", () => {
  const signer = noteSigner("example.com/behind-the-sofa", Buffer.alloc(32, 3));
  const note = signer.checkpoint(20852163, ROOT);
  assert.ok(note.startsWith(`example.com/behind-the-sofa\n20852163\n${ROOT}\n\n— example.com/behind-the-sofa `));
  assert.deepEqual(checkpointOf(openNote(note, noteVerifier(signer.vkey)!)!), {
    origin: "example.com/behind-the-sofa",
    size: 20852163,
    root: ROOT,
  });
});

Deno.test("a text that is no checkpoint is none", () => {
  assert.deepEqual(checkpointOf(`a\n0\n${ROOT}\nextension\n`), { origin: "a", size: 0, root: ROOT });
  const bad = [
    "",
    "a\n",
    `a\n01\n${ROOT}\n`,
    `a\n-1\n${ROOT}\n`,
    `\n1\n${ROOT}\n`,
    "a\n1\nAAAA\n",
    `a\n1\n${ROOT}`,
    `a\n1\n${ROOT}\n\n`,
    `a\n9007199254740993\n${ROOT}\n`,
  ];
  for (const text of bad) assert.equal(checkpointOf(text), undefined, JSON.stringify(text));
});

Deno.test("a signer refuses names and texts that no note can carry", () => {
  for (const name of ["", "a b", "a+b", "a\u00a0b", "a\u2003b", "a\nb", "a\u0000b", "\ud800"]) {
    assert.equal(isKeyName(name), false, JSON.stringify(name));
    assert.throws(() => noteSigner(name, Buffer.alloc(32)), TypeError);
  }
  const signer = noteSigner("a", Buffer.alloc(32));
  for (const text of ["no newline", "a\ttab\n", "a\r\n", "\ud800\n"]) assert.throws(() => signer.note(text), TypeError);
});
