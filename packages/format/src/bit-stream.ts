/** Writes bits one after another, from the lowest bit of each byte on. */
export class BitWriter {
  private next = -1;
  private free = 0;

  /** `bytes` is all zero and long enough. */
  constructor(private readonly bytes: Uint8Array) {}

  write(bit: number): void {
    if (this.free === 0) {
      this.next++;
      this.free = 8;
    }
    this.bytes[this.next]! |= bit << (8 - this.free);
    this.free--;
  }
}

/** Reads what `BitWriter` wrote. */
export class BitReader {
  private next = 0;
  private rest = 0;
  private left = 0;
  private hasOverrun = false;

  constructor(private readonly bytes: Uint8Array) {}

  /** The next bit; 0 behind the end. */
  read(): number {
    if (this.left === 0) {
      this.hasOverrun ||= this.next >= this.bytes.length;
      this.rest = this.bytes[this.next++] ?? 0;
      this.left = 8;
    }
    const bit = this.rest & 1;
    this.rest >>>= 1;
    this.left--;
    return bit;
  }

  /** Whether bits behind the end were read. */
  get isOverrun(): boolean {
    return this.hasOverrun;
  }

  /** Whether all bytes were read, and the bits that are left of the last one are 0. */
  get isAtEnd(): boolean {
    return this.next === this.bytes.length && this.rest === 0;
  }
}
