import { InvalidArgumentError } from '@lbs/format';

/**
 * What competes for the salient places: the whole tensor, each row, each group of consecutive weights of a row (the
 * groups of a number format), or each block of consecutive columns with all rows (the groups of SliM-LLM and PB-LLM).
 * The last group or block may be short.
 */
export type Granularity =
  | 'tensor'
  | 'row'
  | { readonly groupSize: number }
  | { readonly columnBlock: number };

/** A matrix cut into parts of `height` x `width`; parts at the right edge may be narrower. */
export interface MatrixParts {
  /** Rows of a part; divides the rows of the matrix. */
  readonly height: number;
  readonly width: number;
}

/**
 * The parts of a [rows, columns] matrix. Throws InvalidArgumentError where their size is not a positive whole number.
 */
export function partsOf(per: Exclude<Granularity, 'tensor'>, rows: number, columns: number): MatrixParts {
  if (per === 'row') return { height: 1, width: columns };
  const [name, width, height] =
    'groupSize' in per ? ['group size', per.groupSize, 1] : ['column block', per.columnBlock, rows];
  if (!Number.isInteger(width) || width <= 0) {
    throw new InvalidArgumentError(`the ${name} is ${width}, not a positive whole number`);
  }
  return { height, width: Math.min(width, columns) };
}
