namespace VhdCore.Testing.Crash;

/// <summary>Picks one state that a cut may leave. Extremes and near misses come often: they are where protocols break.</summary>
internal sealed class CrashSampler(CrashWorld world, Random random)
{
    private enum Way
    {
        Nothing,
        Everything,
        OneOperation,
        AllButOneOperation,
        SomeOperations,
        FirstOperations,
        OneCell,
        AllButOneCell,
        AnyCells,
    }

    public CrashWorld Cut()
    {
        var way = (Way)random.Next((int)Way.AnyCells + 1);
        var isKept = Keep(way);
        var left = new Dictionary<CrashFile, CrashFile>();
        var files = new List<(string, CrashFile)>();
        foreach (var (name, file) in world.NamesAfter(isKept))
        {
            if (!left.TryGetValue(file, out var leftFile))
            {
                leftFile = Leave(file, way, isKept);
                left.Add(file, leftFile);
            }

            files.Add((name, leftFile));
        }

        return world.With(files);
    }

    private Func<long, bool> Keep(Way way)
    {
        switch (way)
        {
            case Way.Nothing or Way.OneCell:
                return _ => false;

            case Way.Everything or Way.AllButOneCell:
                return _ => true;

            case Way.AnyCells:
                return _ => random.Next(2) == 0;
        }

        var operations = world.UnflushedOperations().Order().ToArray();
        if (operations.Length == 0)
        {
            return _ => true;
        }

        var one = operations[random.Next(operations.Length)];
        if (way == Way.SomeOperations)
        {
            var some = operations.Where(_ => random.Next(2) == 0).ToHashSet();
            return some.Contains;
        }

        return way switch
        {
            Way.OneOperation => operation => operation == one,
            Way.AllButOneOperation => operation => operation != one,
            _ => operation => operation <= one,
        };
    }

    private CrashFile Leave(CrashFile file, Way way, Func<long, bool> isKept)
    {
        var lengths = file.LengthChoices();
        var length = random.Next(3) == 0 ? lengths[random.Next(lengths.Count)] : lengths.FindLast(choice => choice.Operation == 0 || isKept(choice.Operation));
        var choices = file.CellChoices(length, world.IsExtensionOrdered);
        if (choices.Count == 0)
        {
            return file.Leave(length.Length, []);
        }

        var one = random.Next(choices.Count);
        var picked = new (int, byte[]?)[choices.Count];
        for (var i = 0; i < picked.Length; i++)
        {
            var choice = choices[i];
            picked[i] = (choice.Cell, way switch
            {
                Way.OneCell => choice[i == one ? random.Next(choice.Count) : 0],
                Way.AllButOneCell => choice[i == one ? random.Next(choice.Count) : choice.Count - 1],
                Way.AnyCells => choice[random.Next(choice.Count)],
                _ => choice.NewestKept(isKept),
            });
        }

        return file.Leave(length.Length, picked);
    }
}
