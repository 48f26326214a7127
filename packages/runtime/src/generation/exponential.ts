const bits = new DataView(new ArrayBuffer(8));

/** ln 2 in two parts: the products of the first with whole numbers up to 2^20 are exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** 1 / n! from the highest power down: enough of them for arguments up to ln(2) / 2. */
const coefficients = Array.from({ length: 15 }, (_, i) => {
  let factorial = 1;
  for (let n = 2; n <= 14 - i; n++) factorial *= n;
  return 1 / factorial;
});

/**
 * e^x for x <= 0, to 2 units in the last place. Unlike Math.exp, of which every engine has its own, it has the same bits everywhere:
 * a seed gives the same text on all machines.
 */
export function exponential(x: number): number {
  if (x < -700) return 0;
  const power = Math.round(x / Math.LN2);
  const rest = x - power * LN2_HIGH - power * LN2_LOW;
  let sum = 0;
  for (const coefficient of coefficients) sum = sum * rest + coefficient;
  // 2^power, by its exponent.
  bits.setInt32(0, (1023 + power) << 20);
  return sum * bits.getFloat64(0);
}
