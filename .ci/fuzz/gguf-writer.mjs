const text = new TextEncoder();

/** Writes a GGUF file and remembers where its integers are, so that the fuzzer can aim at them. */
export function writeGguf({ metadata, tensors, alignment = 32 }) {
  const bytes = [];
  const fields = [];
  const integer = (value, width) => {
    fields.push([bytes.length, width]);
    for (let i = 0; i < width; i++) bytes.push(Number((BigInt(value) >> BigInt(8 * i)) & 255n));
  };
  const raw = (values) => bytes.push(...values);
  const string = (value) => {
    const encoded = text.encode(value);
    integer(encoded.length, 8);
    raw(encoded);
  };
  raw(text.encode('GGUF'));
  integer(3, 4);
  integer(tensors.length, 8);
  integer(Object.keys(metadata).length, 8);
  for (const [key, value] of Object.entries(metadata)) {
    string(key);
    integer(typeOf(value), 4);
    writeValue(value, integer, raw, string);
  }
  let offset = 0;
  for (const { name, dimensions, type, data } of tensors) {
    string(name);
    integer(dimensions.length, 4);
    for (const dimension of dimensions) integer(dimension, 8);
    integer(type, 4);
    integer(offset, 8);
    offset = roundUp(offset + data.length, alignment);
  }
  for (const { data } of tensors) {
    while (bytes.length % alignment !== 0) bytes.push(0);
    raw(data);
  }
  return { bytes: Uint8Array.from(bytes), fields };
}

/** Value types of the specification. Whole numbers are u32, others f32. */
function typeOf(value) {
  if (Array.isArray(value)) return 9;
  if (typeof value === 'string') return 8;
  if (typeof value === 'boolean') return 7;
  if (typeof value === 'bigint') return 10;
  return Number.isInteger(value) ? 4 : 6;
}

function writeValue(value, integer, raw, string) {
  if (Array.isArray(value)) {
    integer(typeOf(value[0] ?? 0), 4);
    integer(value.length, 8);
    for (const element of value) writeValue(element, integer, raw, string);
  } else if (typeof value === 'string') string(value);
  else if (typeof value === 'boolean') integer(value ? 1 : 0, 1);
  else if (typeof value === 'bigint') integer(value, 8);
  else if (Number.isInteger(value)) integer(value, 4);
  else raw(new Uint8Array(Float32Array.of(value).buffer));
}

function roundUp(value, multiple) {
  return Math.ceil(value / multiple) * multiple;
}
