/** Below this the scale of a chunk stays fixed, so that its reciprocal and its product with a weight scale stay normal numbers. */
const leastMaximum: f32 = 5.421010862427522e-20; // 2^-64

/** Adding it rounds to an integer, to nearest even, that then stands in the low 16 bits of the float32. */
const rounder: f32 = 12582912; // 1.5 * 2^23

@inline
function quantizeChunk(source: usize, columns: u32, largest: f32, codes: usize): f32 {
  let maxima = f32x4.splat(leastMaximum);
  for (let i: u32 = 0; i < columns; i += 4) {
    maxima = f32x4.max(maxima, f32x4.abs(v128.load(source + 4 * i)));
  }
  maxima = f32x4.max(maxima, v128.shuffle<i32>(maxima, maxima, 2, 3, 0, 1));
  const maximum = max(f32x4.extract_lane(maxima, 0), f32x4.extract_lane(maxima, 1));
  const factor = f32x4.splat(largest / maximum);
  const magic = f32x4.splat(rounder);
  for (let i: u32 = 0; i < columns; i += 8) {
    const a = f32x4.add(f32x4.mul(v128.load(source + 4 * i), factor), magic);
    const b = f32x4.add(f32x4.mul(v128.load(source + 4 * i, 16), factor), magic);
    v128.store(codes + 2 * i, v128.shuffle<i16>(a, b, 0, 2, 4, 6, 8, 10, 12, 14));
  }
  return maximum / largest;
}

/**
 * Rounds float32 activations [tokens, columns] to codes from -largest to largest, at most 32767, as int16 [tokens, paddedColumns]. Each chunk
 * of columns has one scale, [tokens, chunks]: scale = max(|x|) / largest. A NaN or an infinity makes the scale non-finite, so it reaches the output.
 * `scratch` holds 64 floats.
 */
export function quantizeActivations(
  input: usize,
  tokens: u32,
  columns: u32,
  paddedColumns: u32,
  chunkColumns: u32,
  largest: f32,
  codes: usize,
  scales: usize,
  scratch: usize,
): void {
  const wholeColumns = columns - (columns % chunkColumns);
  const rest = columns - wholeColumns;
  for (let token: u32 = 0; token < tokens; token++) {
    for (let column: u32 = 0; column < wholeColumns; column += chunkColumns) {
      store<f32>(scales, quantizeChunk(input + 4 * column, chunkColumns, largest, codes + 2 * column));
      scales += 4;
    }
    memory.fill(codes + 2 * wholeColumns, 0, 2 * (paddedColumns - wholeColumns));
    if (rest) {
      memory.fill(scratch, 0, 4 * chunkColumns);
      memory.copy(scratch, input + 4 * wholeColumns, 4 * rest);
      store<f32>(scales, quantizeChunk(scratch, chunkColumns, largest, codes + 2 * wholeColumns));
      scales += 4;
    }
    input += 4 * columns;
    codes += 2 * paddedColumns;
  }
}
