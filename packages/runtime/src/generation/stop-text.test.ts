import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StopText } from './stop-text.js';

const texts = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 12 });

test('however a text comes, what is let through ends before the first stop text', () => {
  fc.assert(
    fc.property(
      fc.array(texts),
      fc.array(
        texts.filter((text) => text !== ''),
        { maxLength: 3 },
      ),
      (pieces, stops) => {
        const whole = pieces.join('');
        const filter = new StopText(stops);
        let shown = '';
        let stopped = false;
        for (const piece of pieces) {
          if (stopped) break;
          const step = filter.push(piece);
          shown += step.text;
          stopped = step.stopped;
        }
        if (!stopped) shown += filter.end();
        const places = stops.map((stop) => whole.indexOf(stop)).filter((place) => place >= 0);
        expect(stopped).toBe(places.length > 0);
        // Of two stop texts that overlap, the one that is complete first ends the text.
        if (stopped) expect(stops.some((stop) => whole.startsWith(shown + stop))).toBe(true);
        else expect(shown).toBe(whole);
      },
    ),
  );
});

test('holds back no more than it has to', () => {
  const filter = new StopText(['</s>']);
  expect(filter.push('one <')).toEqual({ text: 'one ', stopped: false });
  expect(filter.push('b')).toEqual({ text: '<b', stopped: false });
  expect(filter.push('</')).toEqual({ text: '', stopped: false });
  expect(filter.push('s>x')).toEqual({ text: '', stopped: true });
});
