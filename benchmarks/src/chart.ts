import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { ResultRow } from './result-row.js';

/** Bits per weight against KL divergence to the float32 model, as SVG. Lower and further left is better. */
export async function chartOf(rows: readonly ResultRow[]): Promise<string> {
  const values = rows.flatMap(({ format, bitsPerWeight, kld }) =>
    kld
      ? [{ format, bitsPerWeight, kld: kld.value, family: format.startsWith('lbs') ? 'LBS' : 'integer' }]
      : [],
  );
  const position: Pick<TopLevelSpec & { encoding: object }, 'encoding'> = {
    encoding: {
      x: {
        field: 'bitsPerWeight',
        type: 'quantitative',
        title: 'bits per weight',
        scale: { zero: false, padding: 30 },
      },
      y: {
        field: 'kld',
        type: 'quantitative',
        title: 'KL divergence to float32 (nats)',
        scale: { type: 'log', padding: 20 },
      },
    },
  };
  const spec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    width: 520,
    height: 320,
    background: 'white',
    data: { values },
    ...position,
    layer: [
      {
        mark: { type: 'point', filled: true, size: 80 },
        encoding: {
          color: { field: 'family', type: 'nominal', title: null, scale: { range: ['#d95f02', '#7570b3'] } },
        },
      },
      { mark: { type: 'text', dy: -12, fontSize: 12 }, encoding: { text: { field: 'format' } } },
    ],
  } as TopLevelSpec;
  const view = new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' });
  return view.toSVG();
}
