import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { ResultRow } from './benchmark-results.js';

/** Bits per weight against KL divergence to the float32 model, as SVG. Lower and further left is better. */
export async function chartOf(rows: readonly ResultRow[]): Promise<string> {
  const values = rows.flatMap(({ format, method, bitsPerWeight, kld }) =>
    kld ? [{ format, method, bitsPerWeight, kld: kld.value }] : [],
  );
  const axis = {
    gridColor: '#eeeeee',
    domainColor: '#888888',
    tickColor: '#888888',
    labelFontSize: 11,
    titleFontSize: 12,
  };
  const spec: TopLevelSpec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    width: 560,
    height: 340,
    background: 'white',
    data: { values },
    encoding: {
      x: {
        field: 'bitsPerWeight',
        type: 'quantitative',
        title: 'bits per weight',
        axis,
        scale: { zero: false, padding: 40 },
      },
      y: {
        field: 'kld',
        type: 'quantitative',
        title: 'KL divergence to float32 (nats)',
        axis: { ...axis, tickCount: 5, format: '~g' },
        scale: { type: 'log', padding: 20 },
      },
      color: { field: 'method', type: 'nominal', title: null, scale: { scheme: 'dark2' } },
    },
    layer: [
      { mark: { type: 'line', opacity: 0.35 } },
      {
        mark: { type: 'point', filled: true, size: 80, opacity: 1 },
        encoding: { shape: { field: 'method', type: 'nominal', title: null } },
      },
      {
        // Others lie too close together for names.
        transform: [{ filter: { field: 'method', equal: 'lbs' } }],
        mark: { type: 'text', align: 'left', dx: 9, dy: -6, fontSize: 12 },
        encoding: { text: { field: 'format' } },
      },
    ],
  };
  const view = new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' });
  return view.toSVG();
}
