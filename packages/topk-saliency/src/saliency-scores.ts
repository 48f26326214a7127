/**
 * How much each weight of a [rows, columns] matrix matters, as a score of at least 0.
 * A score has the matrix's shape; it may look at neighbours of the same row.
 */
export interface SaliencyScore {
  readonly name: string;
  score(weights: Float32Array, columns: number): Float32Array;
}

/** |w|, the score of the LBS paper (CRAD, doi 10.7544/issn1000-1239.202550648). */
export const magnitude: SaliencyScore = {
  name: 'magnitude',
  score: (weights) => weights.map(Math.abs),
};
