import pc from 'picocolors';

/** Without a terminal a line is printed at most this often. */
const quietMilliseconds = 5_000;

/** Shows how far a job is, on standard error: one line rewritten on a terminal, a line now and then elsewhere. */
export class ProgressLine {
  private readonly start = performance.now();
  private lastShown = this.start;

  constructor(
    private readonly title: string,
    private readonly stream: NodeJS.WriteStream = process.stderr,
  ) {}

  /** `share` is from 0 to 1; `detail` says what was just finished. */
  update(share: number, detail: string): void {
    const now = performance.now();
    if (!this.stream.isTTY && now - this.lastShown < quietMilliseconds) return;
    this.lastShown = now;
    const elapsed = (now - this.start) / 1000;
    const left = share > 0.02 ? `, ${Math.ceil((elapsed * (1 - share)) / share)} s left` : '';
    const text = `${this.title} ${(100 * share).toFixed(0).padStart(3)} %${left}  ${pc.dim(detail)}`;
    this.stream.write(this.stream.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
  }

  /** Clears the line, so that what is printed next stands alone. */
  end(): void {
    if (this.stream.isTTY) this.stream.write('\r\x1b[K');
  }
}
