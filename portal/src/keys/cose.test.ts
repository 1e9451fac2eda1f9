import { expect, it } from 'vitest';
import { fromHex, hex, utf8 } from './bytes';
import { toBeSigned } from './cose';

const payload = utf8('{}');

it('one header is signed as Signature1, two as Signature, around no external data', () => {
  expect(hex(toBeSigned(fromHex('8143a10127'), payload))).toBe(`846a${hex(utf8('Signature1'))}43a1012740427b7d`);
  expect(hex(toBeSigned(fromHex('8241a043a10127'), payload))).toBe(`8569${hex(utf8('Signature'))}41a043a1012740427b7d`);
});

it('long headers and payloads have long heads', () => {
  const [long, longer] = ['00'.repeat(200), '00'.repeat(70_000)];
  expect(hex(toBeSigned(fromHex(`8158c8${long}`), fromHex(longer)))).toBe(`846a${hex(utf8('Signature1'))}58c8${long}405a00011170${longer}`);
  expect(hex(toBeSigned(fromHex(`81590100${'00'.repeat(256)}`), payload))).toContain('590100');
});

it('what is no frame of one or two headers is refused', () => {
  for (const bad of ['', '80', '83414141414141', '81', '8143a101', '8143a1012700', '815803a10127', '8163a10127', '7b7d', '815a00000003a10127']) {
    expect(() => toBeSigned(fromHex(bad), payload), bad).toThrow();
  }
});
