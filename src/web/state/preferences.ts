/** What somebody has chosen for this browser: language, theme, and whether it notifies. */
import { effect, signal } from '@preact/signals';

export type Theme = 'system' | 'light' | 'dark';
export type Language = 'en' | 'zh';

const THEME_KEY = 'rookery:theme';
const NOTIFIES_KEY = 'rookery:notifies';
const LANGUAGE_KEY = 'rookery:language';

export const theme = signal<Theme>(oneOf(localStorage.getItem(THEME_KEY), ['system', 'light', 'dark']) ?? 'system');
export const language = signal<Language>(
  oneOf(localStorage.getItem(LANGUAGE_KEY), ['en', 'zh']) ?? (navigator.language.startsWith('zh') ? 'zh' : 'en'),
);

/** Of messages, while nobody looks. */
export const notifies = signal(localStorage.getItem(NOTIFIES_KEY) === 'yes');

effect(() => localStorage.setItem(NOTIFIES_KEY, notifies.value ? 'yes' : 'no'));

effect(() => {
  localStorage.setItem(THEME_KEY, theme.value);
  if (theme.value === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
});

effect(() => {
  localStorage.setItem(LANGUAGE_KEY, language.value);
  document.documentElement.lang = language.value === 'zh' ? 'zh-Hans' : 'en';
});

function oneOf<T extends string>(value: string | null, choices: readonly T[]): T | undefined {
  return choices.find((choice) => choice === value);
}
