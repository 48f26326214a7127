/**
 * Decodes ids that come one by one. The pieces add up to what `decode` gives for all ids, where their bytes are UTF-8: a
 * character of which only some bytes have come waits for the others, and what is no UTF-8 for the next valid character.
 */
export class TokenStream {
  /** Ids that are still decoded: those of the piece before, which the text of the next one may depend on, and the new ones. */
  private ids: number[] = [];
  private shownIds = 0;
  private shown = '';

  constructor(private readonly decode: (ids: readonly number[]) => string) {}

  /** The text that is certain now; empty while a character is incomplete. */
  push(id: number): string {
    this.ids.push(id);
    const text = this.decode(this.ids);
    return text.endsWith('\ufffd') ? '' : this.advance(text);
  }

  /** What was held back, when no id comes any more. */
  end(): string {
    return this.advance(this.decode(this.ids));
  }

  private advance(text: string): string {
    const piece = text.slice(this.shown.length);
    if (piece === '') return '';
    this.ids = this.ids.slice(this.shownIds);
    this.shownIds = this.ids.length;
    this.shown = this.decode(this.ids);
    return piece;
  }
}
