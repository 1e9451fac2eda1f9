import { expect, it } from 'vitest';
import { decimals, epsilon, money } from './words';

it('a sum has the decimals of its currency, and one of no currency is still shown', () => {
  expect(money(123_456, 'INR')).toMatch(/1,234\.56/);
  expect(money(1234, 'JPY')).toMatch(/1,234$/);
  expect(money(12_345, 'BHD')).toMatch(/12\.345/);
  expect([decimals('INR'), decimals('JPY'), decimals('BHD')]).toEqual([2, 0, 3]);
  for (const none of ['', 'not a currency', 'RS']) expect(money(500, none)).toBe(`500 minor units of ${none}`);
});

it('what is spent is rounded up, what is left is rounded down', () => {
  expect([epsilon(1), epsilon(1, 'left')]).toEqual(['0.0001', '0.0']);
  expect([epsilon(1_000_050), epsilon(1_000_050, 'left')]).toEqual(['1.0001', '1.0']);
  expect([epsilon(2_500_000), epsilon(2_500_000, 'left')]).toEqual(['2.5', '2.5']);
});
