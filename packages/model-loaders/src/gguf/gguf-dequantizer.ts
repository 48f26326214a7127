import { ggufTypeNamed } from './gguf-types.js';

/** How the bytes of one type become values. */
export interface GgufDequantizer {
  /** Of the type. */
  readonly name: string;
  /** Values of whole blocks. `bytes` is a whole buffer, which may come back as the result. */
  dequantize(bytes: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer>;
}

/** Writes the values of the block whose bytes begin at `offset` to `target`, from `index` on. */
export type BlockDequantizer = (
  bytes: Uint8Array,
  offset: number,
  target: Float32Array,
  index: number,
) => void;

/** Makes a dequantizer from that of one block; the type says how many elements and bytes a block has. */
export function blockwise(name: string, block: BlockDequantizer): GgufDequantizer {
  const { blockSize, bytesPerBlock } = ggufTypeNamed(name)!;
  return {
    name,
    dequantize(bytes) {
      const blocks = bytes.length / bytesPerBlock;
      const target = new Float32Array(blocks * blockSize);
      for (let i = 0; i < blocks; i++) block(bytes, i * bytesPerBlock, target, i * blockSize);
      return target;
    },
  };
}
