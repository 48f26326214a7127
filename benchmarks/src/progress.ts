import pc from 'picocolors';

const quietMilliseconds = 10_000;

/** Says on standard error what the benchmark does: a line rewritten on a terminal, a line now and then elsewhere. */
export function createProgress(stream: NodeJS.WriteStream = process.stderr) {
  let lastShown = 0;
  const start = performance.now();
  const elapsed = () => pc.dim(`${((performance.now() - start) / 1000).toFixed(0).padStart(4)} s`);
  return {
    /** A step has begun. */
    step(text: string): void {
      lastShown = performance.now();
      stream.write(`${stream.isTTY ? '\r\x1b[K' : ''}${elapsed()}  ${text}\n`);
    },
    /** How far the present step is, from 0 to 1. */
    update(share: number, detail: string): void {
      if (!stream.isTTY && performance.now() - lastShown < quietMilliseconds) return;
      lastShown = performance.now();
      const text = `${elapsed()}  ${(100 * share).toFixed(0).padStart(3)} %  ${pc.dim(detail)}`;
      stream.write(stream.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
    },
    end(): void {
      if (stream.isTTY) stream.write('\r\x1b[K');
    },
  };
}
