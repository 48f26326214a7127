/**
 * Measures the peak memory of `lbs quantize` on models that differ in depth alone: random weights, the tokenizer of tiny-lm. Memory that
 * grows with the depth is a finished layer that is kept.
 *
 *     pnpm build && node benchmarks/scripts/memory-by-depth.mjs [--width 512] [--depths 2,4,8,16] [--preset lbs-3]
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parseConfig, tensorShapes } from '@lbs/model-loaders';
import { writeSafetensors } from '@lbs/model-loaders/node';

const { values } = parseArgs({
  options: {
    width: { type: 'string', default: '512' },
    depths: { type: 'string', default: '2,4,8,16' },
    preset: { type: 'string', default: 'lbs-3' },
    threads: { type: 'string', default: '1' },
  },
});
const bin = fileURLToPath(new URL('../../packages/cli/dist/bin.js', import.meta.url));
const tiny = fileURLToPath(new URL('../../datasets/tiny-lm/', import.meta.url));
const width = Number(values.width);
const folder = mkdtempSync(join(tmpdir(), 'lbs-memory-'));

/** A normal deviate by the sum of uniform ones, of variance 1 / width. */
function createNormal() {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  const scale = Math.sqrt(4 / width);
  return () => scale * (uniform() + uniform() + uniform());
}

/** Writes a model with so many blocks; returns the float32 bytes of one. */
async function writeModel(directory, layers) {
  cpSync(tiny, directory, { recursive: true });
  const configFile = join(directory, 'config.json');
  const configJson = {
    ...JSON.parse(readFileSync(configFile, 'utf8')),
    num_hidden_layers: layers,
    hidden_size: width,
    intermediate_size: Math.ceil((8 * width) / 3 / 64) * 64,
    num_attention_heads: width / 64,
    num_key_value_heads: width / 64,
    head_dim: 64,
  };
  writeFileSync(configFile, JSON.stringify(configJson));
  const normal = createNormal();
  const shapes = [...tensorShapes(parseConfig(configJson, configFile))];
  const size = (shape) => shape.reduce((product, length) => product * length, 1);
  const tensors = shapes.map(([name, shape]) => ({
    name,
    dtype: 'BF16',
    shape,
    bytes() {
      const floats = Float32Array.from({ length: size(shape) }, shape.length === 1 ? () => 1 : normal);
      const bits = Uint16Array.from(new Uint32Array(floats.buffer), (word) => word >>> 16);
      return new Uint8Array(bits.buffer);
    },
  }));
  await writeSafetensors(join(directory, 'model.safetensors'), tensors);
  const block = shapes.filter(([name]) => name.startsWith('model.layers.0.'));
  return 4 * block.reduce((sum, [, shape]) => sum + size(shape), 0);
}

/** Short: activations take as much memory at any depth. */
const text = join(folder, 'text.txt');
writeFileSync(
  text,
  readFileSync(new URL('../../datasets/texts/calibration.txt', import.meta.url), 'utf8').slice(0, 4000),
);

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;
try {
  for (const depth of values.depths.split(',').map(Number)) {
    const model = join(folder, `model-${depth}`);
    const block = await writeModel(model, depth);
    const args = ['quantize', model, '-o', join(folder, 'out'), '--force', '--json', '--calibration', text];
    const options = ['--preset', values.preset, '--threads', values.threads];
    const { peakRssBytes, bytes, seconds } = JSON.parse(
      execFileSync(process.execPath, [bin, ...args, ...options]),
    );
    console.log(
      `${depth} blocks of ${megabytes(block)} in float32: peak ${megabytes(peakRssBytes)}, result ${megabytes(bytes)}, ${seconds.toFixed(0)} s`,
    );
    rmSync(model, { recursive: true });
  }
} finally {
  rmSync(folder, { recursive: true });
}
