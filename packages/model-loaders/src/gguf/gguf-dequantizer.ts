/** How the bytes of one type become values. */
export interface GgufDequantizer {
  /** Of the type. */
  readonly name: string;
  /** Values of whole blocks. `bytes` is a whole buffer, which may come back as the result. */
  dequantize(bytes: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer>;
}

/** Writes the values of the block whose bytes begin at `offset` to `target`, from `index` on. */
export type BlockDequantizer = (view: DataView, offset: number, target: Float32Array, index: number) => void;

/** Makes a dequantizer from that of a block of `blockSize` elements in `bytesPerBlock` bytes. */
export function blockwise(
  name: string,
  blockSize: number,
  bytesPerBlock: number,
  block: BlockDequantizer,
): GgufDequantizer {
  return {
    name,
    dequantize(bytes) {
      const view = new DataView(bytes.buffer);
      const blocks = bytes.length / bytesPerBlock;
      const target = new Float32Array(blocks * blockSize);
      for (let i = 0; i < blocks; i++) block(view, i * bytesPerBlock, target, i * blockSize);
      return target;
    },
  };
}
