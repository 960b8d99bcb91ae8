/**
 * What people read as a name: of a group, a person or bot, a device, one's own for a contact, a label. Controls and line breaks could forge
 * what stands beside it, what turns the direction of writing could make it read as another's. Joiners and marks stay: names of many
 * scripts, and emoji, are written with them.
 */
const UNFIT = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;
const UNFIT_CHARS = new RegExp(UNFIT, 'gu');

/** Of a name from elsewhere, what can stand in one here. */
export const fittedName = (name: string): string => name.replace(UNFIT_CHARS, '').trim();

export const isFitName = (name: string): boolean => !UNFIT.test(name);
