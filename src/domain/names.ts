/**
 * What people read as a name: of a group, a person or bot, a device, one's own for a contact, a label. Controls and line breaks could forge
 * what stands beside it, what turns the direction of writing could make it read as another's. Joiners and marks stay: names of many
 * scripts, and emoji, are written with them; with these alone a name would be nothing to see.
 */
const UNFIT = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;
const UNFIT_CHARS = new RegExp(UNFIT, 'gu');

/** What shows something: no space, no joiner, no mark that only says how others are written. U+2800 is a blank of Braille. */
const VISIBLE = /[^\p{Default_Ignorable_Code_Point}\p{White_Space}\u2800]/u;

/** Of a name from elsewhere, what can stand in one here: '' where nothing is left. @param maxChars as `length` counts */
export function fittedName(name: string, maxChars: number): string {
  const fitted = cutWhole(name.replace(UNFIT_CHARS, '').trim(), maxChars).trimEnd();
  return VISIBLE.test(fitted) ? fitted : '';
}

/** '' is no name, which is for others to judge. */
export const isFitName = (name: string): boolean => name === '' || (!UNFIT.test(name) && VISIBLE.test(name));

/** The beginning, in whole characters. @param maxChars as `length` counts: those beyond U+FFFF are two */
export function cutWhole(text: string, maxChars: number): string {
  const isInTwo = (text.codePointAt(maxChars - 1) ?? 0) > 0xffff;
  return text.slice(0, isInTwo ? maxChars - 1 : maxChars);
}
