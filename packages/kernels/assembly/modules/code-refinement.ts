export { refineStrip } from '../refine-codes';
