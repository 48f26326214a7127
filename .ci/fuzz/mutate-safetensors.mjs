import { mutateBytes } from './mutate-bytes.mjs';
import { mutateJson } from './mutate-json.mjs';

/** Changes the header of a safetensors file as JSON and says its new length, or changes bytes anywhere. */
export function mutateSafetensors(random, input, { words, other }) {
  if (input.length < 8 || random.oneIn(4)) return mutateBytes(random, input, { fields: [[0, 8]], other });
  const length = Number(new DataView(input.buffer, input.byteOffset).getBigUint64(0, true));
  if (8 + length > input.length) return mutateBytes(random, input, { other });
  if (random.oneIn(6)) {
    // The data alone: indices, counts and scales.
    const data = mutateBytes(random, input.subarray(8 + length), { other: input });
    return joined(input.subarray(8, 8 + length), data);
  }
  const decoder = new TextDecoder();
  const text = decoder.decode(input.subarray(8, 8 + length));
  const json = mutateJson(random, text, { words, other: decoder.decode(other) });
  return joined(new TextEncoder().encode(json), input.subarray(8 + length));
}

function joined(json, data) {
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}
