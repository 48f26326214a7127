import type { SafetensorsTensorSpec, StoredTensor } from '@lbs/format';

/** A tensor of a quantized model, whose bytes are read when they are asked for. */
export interface LazyTensor extends SafetensorsTensorSpec {
  /** The stored bytes in order, in pieces. */
  bytes(): AsyncIterable<Uint8Array>;
}

/** The tensor with all of its bytes in memory. */
export async function loadTensor(tensor: LazyTensor): Promise<StoredTensor> {
  const { name, dtype, shape } = tensor;
  const pieces: Uint8Array[] = [];
  for await (const piece of tensor.bytes()) pieces.push(piece);
  if (pieces.length === 1) return { name, dtype, shape, bytes: pieces[0]! };
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return { name, dtype, shape, bytes: whole };
}
