import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BitReader, BitWriter } from './bit-stream.js';

test('bits are written from the lowest of each byte on', () => {
  const bytes = new Uint8Array(2);
  const writer = new BitWriter(bytes);
  for (const bit of [1, 0, 0, 0, 0, 0, 1, 1, 0, 1]) writer.write(bit);
  expect([...bytes]).toEqual([0b1100_0001, 0b10]);
});

test('bits come back, and the end of them is known', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1), { maxLength: 40 }), (bits) => {
      const bytes = new Uint8Array(Math.ceil(bits.length / 8));
      const writer = new BitWriter(bytes);
      for (const bit of bits) writer.write(bit);
      const reader = new BitReader(bytes);
      expect(bits.map(() => reader.read())).toEqual(bits);
      expect(reader.isAtEnd).toBe(true);
      expect(reader.isOverrun).toBe(false);
    }),
  );
});

test('bits behind the end are 0 and known to be none', () => {
  const reader = new BitReader(Uint8Array.of(0xff));
  for (let i = 0; i < 8; i++) reader.read();
  expect(reader.isOverrun).toBe(false);
  expect(reader.read()).toBe(0);
  expect(reader.isOverrun).toBe(true);
  expect(reader.isAtEnd).toBe(false);
});

test.each([
  ['a byte that was not read', [0xff, 0x00]],
  ['a bit other than 0', [0x7f, 0x80]],
])('%s is not the end', (_, bytes) => {
  const reader = new BitReader(Uint8Array.from(bytes));
  for (let i = 0; i < 7; i++) reader.read();
  if (bytes[1] === 0x80) for (let i = 0; i < 3; i++) reader.read();
  expect(reader.isAtEnd).toBe(false);
});
