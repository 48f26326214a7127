export { evaluateScales, searchCodes } from '../code-search';
