import { InvalidArgumentError } from '@lbs/format';

/** Lets text through up to the first of some texts. What may be the beginning of one of them waits for what follows. */
export class StopText {
  private held = '';

  /** Throws InvalidArgumentError where a text is empty. */
  constructor(private readonly stops: readonly string[]) {
    if (stops.includes('')) throw new InvalidArgumentError('a stop text is empty', { mend: 'Leave it out.' });
  }

  /** The text that is certain now, and whether a stop text came behind it. */
  push(piece: string): { readonly text: string; readonly stopped: boolean } {
    const text = this.held + piece;
    const places = this.stops.map((stop) => text.indexOf(stop)).filter((place) => place >= 0);
    if (places.length > 0) {
      this.held = '';
      return { text: text.slice(0, Math.min(...places)), stopped: true };
    }
    let keep = 0;
    for (const stop of this.stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > keep; length--) {
        if (text.endsWith(stop.slice(0, length))) keep = length;
      }
    }
    this.held = text.slice(text.length - keep);
    return { text: text.slice(0, text.length - keep), stopped: false };
  }

  /** What was held back, when nothing follows. */
  end(): string {
    const text = this.held;
    this.held = '';
    return text;
  }
}
