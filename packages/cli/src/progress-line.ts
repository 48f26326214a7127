import pc from 'picocolors';
import { formatDuration } from './print-result.js';

/** A line is printed at most this often: on a terminal, and elsewhere. */
const terminalMilliseconds = 50;
const quietMilliseconds = 5_000;

/** Shows how far a job is, on standard error: one line rewritten on a terminal, a line now and then elsewhere. */
export class ProgressLine {
  private readonly start = performance.now();
  private lastShown = this.start;

  constructor(
    private readonly title: string,
    private readonly stream: NodeJS.WriteStream = process.stderr,
  ) {}

  /**
   * `share` is from 0 to 1; `detail` says what was just finished. `secondsLeft` is null where nobody knows; by default the time so far is
   * extrapolated.
   */
  update(share: number, detail: string, secondsLeft: number | null = this.#extrapolate(share)): void {
    const now = performance.now();
    if (now - this.lastShown < (this.stream.isTTY ? terminalMilliseconds : quietMilliseconds)) return;
    this.lastShown = now;
    const left = secondsLeft === null ? '' : `, ${formatDuration(secondsLeft)} left`;
    const text = `${this.title} ${(100 * share).toFixed(0).padStart(3)} %${left}  ${pc.dim(detail)}`;
    this.stream.write(this.stream.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
  }

  /** Prints a line that stays. */
  note(text: string): void {
    this.end();
    this.stream.write(`${text}\n`);
  }

  /** Clears the line, so that what is printed next stands alone. */
  end(): void {
    if (this.stream.isTTY) this.stream.write('\r\x1b[K');
  }

  #extrapolate(share: number): number | null {
    const elapsed = (performance.now() - this.start) / 1000;
    return share > 0.02 ? (elapsed * (1 - share)) / share : null;
  }
}
