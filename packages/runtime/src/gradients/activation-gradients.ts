import type { Kernels, Pointer } from '@lbs/kernels';
import type { FeedForwardActivation } from '@lbs/model-loaders';

/** Value and slope of an activation at a place, each as two factors: [value, value, slope, slope]. */
type Factors = Float64Array;

/** An activation by an exponential, which the kernels compute to the same bits everywhere. */
interface Derivative {
  /** What is raised, of the argument. */
  exponent(x: number): number;
  /** `power` is e raised to it. */
  write(factors: Factors, x: number, power: number): void;
}

const root = Math.sqrt(2 / Math.PI);
const density = 1 / Math.sqrt(2 * Math.PI);

const derivatives: Readonly<Record<FeedForwardActivation, Derivative>> = {
  // With s = 1 / (1 + e^-x): x * s, and s * (1 + x * (1 - s)).
  silu: {
    exponent: (x) => -x,
    write(factors, x, power) {
      const sigmoid = 1 / (1 + power);
      factors[0] = x;
      factors[1] = sigmoid;
      factors[2] = sigmoid;
      factors[3] = 1 + x * (1 - sigmoid);
    },
  },
  // The distribution function of the normal distribution within 7.5e-8 (Handbook of Mathematical Functions, 26.2.17).
  gelu: {
    exponent: (x) => (-x * x) / 2,
    write(factors, x, power) {
      const t = 1 / (1 + 0.2316419 * Math.abs(x));
      const sum =
        t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
      const tail = density * sum * power;
      const below = x < 0 ? tail : 1 - tail;
      factors[0] = x;
      factors[1] = below;
      factors[2] = below + density * x * power;
      factors[3] = 1;
    },
  },
  // With u = sqrt(2 / pi) * (x + 0.044715 x^3) and s = 1 / (1 + e^-2u) = (1 + tanh(u)) / 2: x * s, and s + x * s * (1 - s) * 2 u'.
  geluTanh: {
    exponent: (x) => -2 * root * (x + 0.044715 * x * x * x),
    write(factors, x, power) {
      const sigmoid = 1 / (1 + power);
      const inner = 2 * root * (1 + 3 * 0.044715 * x * x);
      factors[0] = x;
      factors[1] = sigmoid;
      factors[2] = sigmoid;
      factors[3] = 1 + x * (1 - sigmoid) * inner;
    },
  },
  relu: {
    exponent: () => 0,
    write(factors, x) {
      factors[0] = Math.max(x, 0);
      factors[1] = 1;
      factors[2] = x > 0 ? 1 : 0;
      factors[3] = 1;
    },
  },
};

/** What gate and up put out [tokens, width], and the gradient with respect to the activation of one times the other. */
export interface ActivationOperands {
  /** Undefined where the activation is that of `up`. */
  readonly gate: Pointer | undefined;
  readonly up: Pointer;
  readonly gradient: Pointer;
  readonly tokens: number;
  readonly width: number;
  /** [width] working memory. */
  readonly powers: Pointer;
}

/** Puts the gradients with respect to gate and up in their place. */
export function backThroughActivation(
  kernels: Kernels,
  activation: FeedForwardActivation,
  operands: ActivationOperands,
): void {
  const { tokens, width } = operands;
  const { exponent, write } = derivatives[activation];
  const view = (pointer: Pointer) => kernels.float32(pointer, tokens * width);
  const [ups, gradients] = [view(operands.up), view(operands.gradient)];
  const gates = operands.gate === undefined ? undefined : view(operands.gate);
  const activated = gates ?? ups;
  const powers = kernels.float32(operands.powers, width);
  const factors = new Float64Array(4);
  for (let start = 0; start < activated.length; start += width) {
    for (let i = 0; i < width; i++) powers[i] = exponent(activated[start + i]!);
    kernels.exponential(operands.powers, width);
    for (let i = 0; i < width; i++) {
      const place = start + i;
      const gradient = gradients[place]!;
      write(factors, activated[place]!, powers[i]!);
      if (gates) {
        gates[place] = gradient * ups[place]! * factors[2]! * factors[3]!;
        ups[place] = gradient * factors[0]! * factors[1]!;
      } else ups[place] = gradient * factors[2]! * factors[3]!;
    }
  }
}
