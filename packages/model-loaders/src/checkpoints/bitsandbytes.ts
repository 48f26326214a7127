import { UnsupportedError } from '@lbs/format';
import { describeValue, type JsonObject, parseJsonObject } from '../config/json-file.js';
import type {
  CheckpointMatrix,
  CheckpointMethod,
  DequantizedDtype,
  ModuleParts,
} from './checkpoint-method.js';
import { assertShape, malformedPart, neededPart } from './module-parts.js';
import { roundTo } from './round-to.js';

const QUANT_STATES = ['weight.quant_state.bitsandbytes__nf4', 'weight.quant_state.bitsandbytes__fp4'];

/** The state is a JSON object of eight short members. */
const MAX_STATE_BYTES = 2 ** 16;

const DTYPES: Readonly<Record<string, DequantizedDtype>> = {
  float16: 'F16',
  bfloat16: 'BF16',
  float32: 'F32',
};

/**
 * 4-bit checkpoints of bitsandbytes, NF4 and FP4: `weight` U8 with two codes a byte, the first in the high half; `weight.absmax`, a
 * scale for every block of the flattened matrix; `weight.quant_map`, the 16 levels; `weight.quant_state.bitsandbytes__nf4`, JSON
 * with shape, block size and type. With double quantization `absmax` are codes themselves, with `nested_absmax`, `nested_quant_map` and an
 * offset. Arithmetic and rounding are those of `dequantize_4bit`.
 */
export const bitsandbytes: CheckpointMethod = {
  name: 'bitsandbytes',
  parse(config, file) {
    if (config['load_in_4bit'] !== true) {
      throw new UnsupportedError('bitsandbytes: load_in_4bit is not true', {
        file,
        mend: 'Known are 4-bit checkpoints, NF4 and FP4; choose one, or the unquantized model.',
      });
    }
    return {
      markers: QUANT_STATES,
      helpers: [
        'weight',
        'weight.absmax',
        'weight.quant_map',
        'weight.nested_absmax',
        'weight.nested_quant_map',
        ...QUANT_STATES,
      ],
      matrix: bitsandbytesMatrix,
    };
  },
};

interface QuantState {
  readonly shape: readonly [number, number];
  readonly blockSize: number;
  readonly dtype: DequantizedDtype;
  /** Of double quantization. */
  readonly nestedBlockSize: number;
  readonly nestedOffset: number;
}

async function bitsandbytesMatrix(parts: ModuleParts): Promise<CheckpointMatrix> {
  const stateName = QUANT_STATES.find((name) => parts.info(name))!;
  const { byteLength } = neededPart(parts, stateName, ['U8']);
  if (byteLength > MAX_STATE_BYTES)
    throw malformedPart(parts, stateName, `${byteLength} bytes are too many for a state`);
  const isNested = parts.info('weight.nested_absmax') !== undefined;
  const json = parseJsonObject(await parts.read(stateName), `${parts.file}, ${parts.module}.${stateName}`);
  const state = parseState(json, isNested, parts, stateName);
  const { shape, blockSize, dtype, nestedBlockSize, nestedOffset } = state;
  const [rows, columns] = shape;
  const weights = rows * columns;
  const blocks = Math.ceil(weights / blockSize);
  const packed = neededPart(parts, 'weight', ['U8']);
  if (packed.byteLength !== Math.ceil(weights / 2)) {
    throw malformedPart(
      parts,
      'weight',
      `${packed.byteLength} bytes are not those of ${weights} weights of 4 bits`,
    );
  }
  assertShape(parts, 'weight.quant_map', neededPart(parts, 'weight.quant_map', ['F32']), [16]);
  assertShape(parts, 'weight.absmax', neededPart(parts, 'weight.absmax', [isNested ? 'U8' : 'F32']), [
    blocks,
  ]);
  const names = ['weight', 'weight.quant_map', 'weight.absmax'];
  if (isNested) {
    const nested = neededPart(parts, 'weight.nested_absmax', ['F32']);
    assertShape(parts, 'weight.nested_absmax', nested, [Math.ceil(blocks / nestedBlockSize)]);
    assertShape(
      parts,
      'weight.nested_quant_map',
      neededPart(parts, 'weight.nested_quant_map', ['F32']),
      [256],
    );
    names.push('weight.nested_absmax', 'weight.nested_quant_map');
  }
  return {
    shape,
    dtype,
    parts: names,
    dequantize(bytes, { first, count }) {
      const float32 = (part: string) => new Float32Array(bytes(part).buffer);
      const codes = bytes('weight');
      const levels = float32('weight.quant_map');
      const scales = isNested
        ? nestedScales(
            bytes('weight.absmax'),
            float32('weight.nested_quant_map'),
            float32('weight.nested_absmax'),
          )
        : float32('weight.absmax');
      const values = new Float32Array(count * columns);
      for (let i = 0; i < values.length; i++) {
        const at = first * columns + i;
        const code = at % 2 === 0 ? codes[at >>> 1]! >>> 4 : codes[at >>> 1]! & 15;
        values[i] = levels[code]! * scales[Math.floor(at / blockSize)]!;
      }
      return roundTo(dtype, values);
    },
  };

  function nestedScales(scaleCodes: Uint8Array, map: Float32Array, absmax: Float32Array): Float32Array {
    return Float32Array.from(scaleCodes, (code, i) => {
      const scaled = Math.fround(map[code]! * absmax[Math.floor(i / nestedBlockSize)]!);
      return scaled + nestedOffset;
    });
  }
}

function parseState(json: JsonObject, isNested: boolean, parts: ModuleParts, part: string): QuantState {
  const {
    shape,
    blocksize,
    dtype,
    nested_blocksize: nestedBlockSize = 256,
    nested_offset: nestedOffset = 0,
  } = json;
  const refuse = (name: string, value: unknown) =>
    malformedPart(parts, part, `${name} is ${describeValue(value)}`);
  const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;
  if (!Array.isArray(shape) || shape.length !== 2 || !shape.every(isSize)) throw refuse('shape', shape);
  const [rows, columns] = shape as [number, number];
  if (!Number.isSafeInteger(rows * columns)) throw refuse('shape', `${rows}, ${columns}`);
  if (!isSize(blocksize)) throw refuse('blocksize', blocksize);
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPES, dtype)) throw refuse('dtype', dtype);
  if (isNested && !isSize(nestedBlockSize)) throw refuse('nested_blocksize', nestedBlockSize);
  if (isNested && !Number.isFinite(nestedOffset)) throw refuse('nested_offset', nestedOffset);
  return {
    shape: [rows, columns],
    blockSize: blocksize,
    dtype: DTYPES[dtype]!,
    nestedBlockSize: nestedBlockSize as number,
    nestedOffset: Math.fround(nestedOffset as number),
  };
}
