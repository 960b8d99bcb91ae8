/** The text of the moment's language; a component that asks for one is drawn again when the language changes. */
import { withoutControls } from '../model/markup.ts';
import { language } from '../state/preferences.ts';
import { en } from './en.ts';
import { zh } from './zh.ts';

export type TextKey = keyof typeof en;

/** What is put in may come from others: it can neither turn the text around it nor hide it. */
export function text(key: TextKey, places: Readonly<Record<string, string | number>> = {}): string {
  const template: string = (language.value === 'zh' ? zh : en)[key];
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => withoutControls(String(places[name] ?? whole)));
}

/** Why something was refused. */
export function reasonOf(code: string): string {
  const key = `error.${code}`;
  return key in en ? text(key as TextKey) : text('error.other', { code });
}

const locale = (): string => (language.value === 'zh' ? 'zh-CN' : 'en-GB');

/** @param at milliseconds since 1970 */
export const timeOf = (at: number): string =>
  new Date(at).toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit' });

const DAY_MS = 86_400_000;

export function dayOf(at: number): string {
  const date = new Date(at);
  const isThisYear = date.getFullYear() === new Date().getFullYear();
  const days = Math.round((startOfDay(Date.now()) - startOfDay(at)) / DAY_MS);
  if (days === 0 || days === 1) {
    const word = new Intl.RelativeTimeFormat(locale(), { numeric: 'auto' }).format(-days, 'day');
    return word.charAt(0).toUpperCase() + word.slice(1);
  }
  return date.toLocaleDateString(locale(), {
    ...(days < 7 ? { weekday: 'long' } : { day: 'numeric', month: 'long' }),
    ...(!isThisYear && { year: 'numeric' }),
  });
}

/** For a list: the time today, else the day. */
export function whenOf(at: number): string {
  if (at === 0) return '';
  const days = Math.round((startOfDay(Date.now()) - startOfDay(at)) / DAY_MS);
  if (days === 0) return timeOf(at);
  return new Date(at).toLocaleDateString(
    locale(),
    days < 7 ? { weekday: 'short' } : { day: 'numeric', month: 'short' },
  );
}

/** When somebody was here last: what stays true, however long it stands there. */
export function lastSeenOf(at: number): string {
  const days = Math.round((startOfDay(Date.now()) - startOfDay(at)) / DAY_MS);
  const time = timeOf(at);
  if (days <= 0) return text('presence.lastSeenAt', { time });
  if (days === 1) return text('presence.lastSeenYesterday', { time });
  const isThisYear = new Date(at).getFullYear() === new Date().getFullYear();
  const year = isThisYear ? {} : ({ year: 'numeric' } as const);
  const day = new Date(at).toLocaleDateString(locale(), { day: 'numeric', month: 'long', ...year });
  return text('presence.lastSeenOn', { day });
}

export const fullTimeOf = (at: number): string =>
  new Date(at).toLocaleString(locale(), { dateStyle: 'full', timeStyle: 'medium' });

export const startOfDay = (at: number): number => new Date(at).setHours(0, 0, 0, 0);

export const listOf = (names: readonly string[]): string =>
  new Intl.ListFormat(locale(), { type: 'conjunction' }).format(names);
