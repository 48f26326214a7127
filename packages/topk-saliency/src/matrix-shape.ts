import { InvalidArgumentError } from '@lbs/format';

/** Throws InvalidArgumentError unless `length` numbers are those of a matrix with rows and columns. */
export function assertMatrixShape(
  what: string,
  length: number,
  { rows, columns }: { readonly rows: number; readonly columns: number },
  tensor?: string,
): void {
  for (const [name, size] of Object.entries({ rows, columns })) {
    if (Number.isInteger(size) && size > 0) continue;
    throw new InvalidArgumentError(`the number of ${name} is ${size}, not a positive whole number`, {
      tensor,
    });
  }
  if (length === rows * columns) return;
  throw new InvalidArgumentError(`${length} ${what} are not those of a [${rows}, ${columns}] matrix`, {
    tensor,
  });
}
