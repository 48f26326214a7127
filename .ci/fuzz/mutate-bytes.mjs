const interestingBytes = [
  0, 1, 2, 9, 0x0a, 0x20, 0x22, 0x2c, 0x3a, 0x5b, 0x5c, 0x7b, 0x7d, 0x7f, 0x80, 0xc0, 0xfe, 0xff,
];

const interestingIntegers = [
  0n,
  1n,
  2n,
  3n,
  9n,
  31n,
  63n,
  255n,
  256n,
  65_535n,
  65_536n,
  2n ** 24n,
  2n ** 28n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 40n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** Changes some bytes. `fields` are the [offset, width] of the integers that the input is known to have. */
export function mutateBytes(random, input, { fields = [], dictionary = [], other = input } = {}) {
  switch (random.below(12)) {
    case 0:
      return edited(input, (bytes) => {
        bytes[random.below(bytes.length)] ^= 1 << random.below(8);
      });
    case 1:
      return edited(input, (bytes) => {
        bytes[random.below(bytes.length)] = random.oneIn(2)
          ? random.pick(interestingBytes)
          : random.below(256);
      });
    case 2:
    case 3:
    case 4:
    case 5:
      return mutateInteger(random, input, fields);
    case 6:
      return withoutRange(input, ...range(random, input));
    case 7: {
      const [start, end] = range(random, input);
      return inserted(input, random.below(input.length + 1), input.subarray(start, end));
    }
    case 8:
      return inserted(
        input,
        random.below(input.length + 1),
        Uint8Array.from({ length: 1 + random.below(16) }, () => random.below(256)),
      );
    case 9:
      return input.slice(0, random.below(input.length + 1));
    case 10:
      return spliced(random, input, other);
    default:
      if (dictionary.length === 0) return spliced(random, input, other);
      return overwritten(random, input, new TextEncoder().encode(random.pick(dictionary)));
  }
}

/** The beginning of one input and the end of another. */
export function spliced(random, input, other) {
  const start = random.below(other.length + 1);
  return inserted(
    input.subarray(0, random.below(input.length + 1)),
    Number.POSITIVE_INFINITY,
    other.subarray(start),
  );
}

function mutateInteger(random, input, fields) {
  const known = fields.length > 0 && !random.oneIn(4);
  const [offset, width] = known
    ? random.pick(fields)
    : [random.below(input.length), random.pick([1, 2, 4, 8])];
  if (offset + width > input.length) return input;
  return edited(input, (bytes) => {
    const view = new DataView(bytes.buffer, offset, width);
    const bits = BigInt(8 * width);
    let value = 0n;
    for (let i = 0; i < width; i++) value |= BigInt(view.getUint8(i)) << BigInt(8 * i);
    const changed = random.oneIn(3)
      ? value + BigInt(random.below(65) - 32)
      : random.oneIn(6)
        ? BigInt(input.length + random.below(3) - 1)
        : random.pick(interestingIntegers);
    for (let i = 0; i < width; i++) {
      view.setUint8(i, Number((BigInt.asUintN(Number(bits), changed) >> BigInt(8 * i)) & 255n));
    }
  });
}

function range(random, input) {
  const start = random.below(input.length + 1);
  return [start, start + random.below(Math.min(64, input.length - start) + 1)];
}

function edited(input, edit) {
  if (input.length === 0) return input;
  const bytes = input.slice();
  edit(bytes);
  return bytes;
}

function withoutRange(input, start, end) {
  return inserted(input.subarray(0, start), Number.POSITIVE_INFINITY, input.subarray(end));
}

function inserted(input, at, addition) {
  const position = Math.min(at, input.length);
  const bytes = new Uint8Array(input.length + addition.length);
  bytes.set(input.subarray(0, position));
  bytes.set(addition, position);
  bytes.set(input.subarray(position), position + addition.length);
  return bytes;
}

function overwritten(random, input, word) {
  const at = random.below(input.length + 1);
  const bytes = new Uint8Array(Math.max(input.length, at + word.length));
  bytes.set(input);
  bytes.set(word, at);
  return bytes;
}
