export { packRows, packSharedRows, unpackRows, unpackSharedRows } from '../pack';
