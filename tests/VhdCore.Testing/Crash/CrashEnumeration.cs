using static VhdCore.Testing.Crash.CrashFile;

namespace VhdCore.Testing.Crash;

/// <summary>Every state that a cut may leave.</summary>
internal static class CrashEnumeration
{
    private const int MaxNameChanges = 20; // 2^20 sets of names

    public static long Count(CrashWorld world)
    {
        long sum = 0;
        foreach (var names in NameSets(world))
        {
            long product = 1;
            foreach (var file in names.Values.Distinct())
            {
                long states = 0;
                foreach (var length in file.LengthChoices())
                {
                    states = Add(states, Product(file.CellChoices(length, world.IsExtensionOrdered)));
                }

                product = Multiply(product, states);
            }

            sum = Add(sum, product);
        }

        return sum;
    }

    public static IEnumerable<CrashWorld> All(CrashWorld world)
    {
        foreach (var names in NameSets(world))
        {
            foreach (var left in Files(world, [.. names.Values.Distinct()], 0))
            {
                yield return world.With(names.Select(pair => (pair.Key, left[pair.Value])));
            }
        }
    }

    private static IEnumerable<Dictionary<string, CrashFile>> NameSets(CrashWorld world)
    {
        var operations = world.NameOperations;
        if (operations.Count > MaxNameChanges)
        {
            throw new InvalidOperationException($"{operations.Count} unflushed changes of names are too many to go through all sets.");
        }

        for (var set = 0; set < 1 << operations.Count; set++)
        {
            var kept = operations.Where((_, index) => (set >> index & 1) != 0).ToHashSet();
            yield return world.NamesAfter(kept.Contains);
        }
    }

    private static IEnumerable<Dictionary<CrashFile, CrashFile>> Files(CrashWorld world, CrashFile[] files, int index)
    {
        if (index == files.Length)
        {
            yield return [];
            yield break;
        }

        foreach (var left in States(files[index], world.IsExtensionOrdered))
        {
            foreach (var rest in Files(world, files, index + 1))
            {
                rest.Add(files[index], left);
                yield return rest;
            }
        }
    }

    private static IEnumerable<CrashFile> States(CrashFile file, bool isOrdered)
    {
        foreach (var length in file.LengthChoices())
        {
            var choices = file.CellChoices(length, isOrdered);
            var counters = new int[choices.Count];
            do
            {
                yield return file.Leave(length.Length, choices.Select((choice, index) => (choice.Cell, choice[counters[index]])));
            }
            while (Next(choices, counters));
        }
    }

    private static bool Next(List<CellChoice> choices, int[] counters)
    {
        for (var i = 0; i < counters.Length; i++)
        {
            if (++counters[i] < choices[i].Count)
            {
                return true;
            }

            counters[i] = 0;
        }

        return false;
    }

    private static long Product(List<CellChoice> choices) => choices.Aggregate(1L, (product, choice) => Multiply(product, choice.Count));

    private static long Add(long a, long b) => a > long.MaxValue - b ? long.MaxValue : a + b;

    private static long Multiply(long a, long b) => b != 0 && a > long.MaxValue / b ? long.MaxValue : a * b;
}
