import { expect, it } from 'vitest';
import type { Schemas } from './client';
import { planOf, search } from './planned';

const plan = { noise: '4.165', rate: '0.07', steps: 198, delta: '0.00001', micro: 999_900 };

/** An accountant whose noise is 4 at ε 1 and falls as a power of it, told to three decimals, upwards. */
const accountant = (power: number, asked: string[] = []) => async (epsilon: string): Promise<Schemas['Forecast']> => {
  asked.push(epsilon);
  const noise = Math.ceil(4 * Number(epsilon) ** -power * 1000) / 1000;
  return { noise_multiplier: noise.toFixed(3), points: [{ steps: 198, epsilon_micro: Math.floor(Number(epsilon) * 1e6) }] };
};

it('the ε is found whose noise is the run’s, with few questions', async () => {
  for (const power of [0.6, 0.9, 1, 1.3]) {
    const asked: string[] = [];
    const points = await search(plan, accountant(power, asked));
    const right = (4 / 4.165) ** (1 / power);
    expect(Math.abs((points?.[0]?.epsilon_micro ?? 0) / 1e6 - right)).toBeLessThan(0.002);
    expect(asked.length).toBeLessThanOrEqual(6);
    expect(asked.every((one) => /^\d+\.\d{6}$/.test(one))).toBe(true);
  }
});

it('one question is enough where the steps are all that is charged', async () => {
  const asked: string[] = [];
  await search({ ...plan, noise: '4.001' }, accountant(1, asked));
  expect(asked.length).toBe(1);
});

it('a curve of another plan is none', async () => {
  const stubborn = async (): Promise<Schemas['Forecast']> => ({ noise_multiplier: '9.000', points: [] });
  expect(await search(plan, stubborn)).toBeUndefined();
});

it('the dataset that the steps cost most counts, and nothing bounds what is without privacy', () => {
  const charge = (noise: string, more: object[] = []) => ({ delta: '0.00001', epsilon_micro: 5, mechanisms: [{ mechanism: 'sampled_gaussian', noise_multiplier: noise, sample_rate: '0.1', steps: 7 }, ...more] }) as unknown as Schemas['DatasetCharge'];
  expect(planOf([charge('4.0'), charge('2.0')])?.noise).toBe('2.0');
  expect(planOf([charge('4.0', [{ mechanism: 'without_differential_privacy', steps: 7 }])])).toBeUndefined();
  expect(planOf([])).toBeUndefined();
});
