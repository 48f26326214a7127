import type { LanguageModel } from '@lbs/runtime';
import { Bench } from 'tinybench';
import type { Speed } from './benchmark-results.js';

export interface SpeedOptions {
  readonly prefillTokens: number;
  readonly decodeTokens: number;
  /** Times that every model is measured, in turn. */
  readonly rounds: number;
  readonly onRound?: (round: number) => void;
}

/**
 * Measures prefill and decode of several models in turn, round by round, so that a change of the machine's speed
 * meets all of them. Tokenization and sampling are not timed; one round before the others warms up.
 */
export async function measureSpeed(
  models: ReadonlyMap<string, LanguageModel>,
  tokens: readonly number[],
  { prefillTokens, decodeTokens, rounds, onRound }: SpeedOptions,
): Promise<Map<string, { prefill: Speed; decode: Speed }>> {
  const seconds = new Map(
    [...models.keys()].map((name) => [name, { prefill: [] as number[], decode: [] as number[] }]),
  );
  const prompt = tokens.slice(0, prefillTokens);
  for (let round = -1; round < rounds; round++) {
    for (const [name, model] of models) {
      const bench = new Bench({ iterations: 1, time: 0, warmup: false, retainSamples: true });
      bench.add('prefill', () => model.logits(prompt, prompt.length - 1).then(() => undefined), {
        beforeEach: () => model.decoder.clear(),
      });
      bench.add('decode', async () => {
        for (let i = 1; i <= decodeTokens; i++) {
          const context = tokens.slice(0, prefillTokens + i);
          await model.logits(context, context.length - 1);
        }
      });
      await bench.run();
      if (round < 0) continue;
      for (const task of bench.tasks) {
        if (task.result.state !== 'completed') throw new Error(`${task.name} of ${name} was not measured`);
        seconds
          .get(name)!
          [task.name as 'prefill' | 'decode'].push(
            ...(task.result.latency.samples ?? []).map((ms) => ms / 1000),
          );
      }
    }
    onRound?.(round);
  }
  return new Map(
    [...seconds].map(([name, { prefill, decode }]) => [
      name,
      { prefill: summarize(prefill, prefillTokens), decode: summarize(decode, decodeTokens) },
    ]),
  );
}

function summarize(seconds: readonly number[], tokens: number): Speed {
  const speeds = seconds.map((time) => tokens / time).sort((a, b) => a - b);
  return {
    median: quantile(speeds, 0.5),
    lowerQuartile: quantile(speeds, 0.25),
    upperQuartile: quantile(speeds, 0.75),
    samples: speeds.length,
  };
}

/** Linear interpolation between the two nearest of ascending values. */
export function quantile(ascending: readonly number[], share: number): number {
  const place = share * (ascending.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, ascending.length - 1);
  return ascending[below]! + (place - below) * (ascending[above]! - ascending[below]!);
}
