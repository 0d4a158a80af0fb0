using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Fuzz;

/// <summary>Damage of which every case is generated: files cut at every structure, every field at its extremes, parents gone or exchanged.</summary>
public sealed class GeneratedDamageTests
{
    public static TheoryData<string> Images => [.. Corpus.Cases.Select(fuzzCase => fuzzCase.Description)];

    [Theory]
    [MemberData(nameof(Images))]
    public async Task A_file_cut_short_anywhere_is_refused_or_read_alike(string image)
    {
        var fuzzCase = Corpus.Cases.Single(fuzzCase => fuzzCase.Description == image);
        foreach (var name in fuzzCase.Files.Keys)
        {
            var file = fuzzCase.Files[name];
            foreach (var length in Lengths(file.Length, name == fuzzCase.Leaf))
            {
                await JudgeAsync(fuzzCase, name, file[..length], $"{name} cut to {length}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Images))]
    public async Task Every_footer_field_at_its_extremes_is_refused_or_read_alike(string image)
    {
        var fuzzCase = Corpus.Cases.Single(fuzzCase => fuzzCase.Description == image);
        var file = fuzzCase.Files[fuzzCase.Leaf];
        foreach (var (offset, size) in Mutator.FooterFields)
        {
            foreach (var value in Extremes(file.Length))
            {
                var damaged = (byte[])file.Clone();
                PlainWriting.Number(damaged, file.Length - 512 + offset, value, size);
                if (Mutator.IsBlockBased(file))
                {
                    PlainWriting.Number(damaged, offset, value, size);
                }

                Mutator.Mend(damaged);
                await JudgeAsync(fuzzCase, fuzzCase.Leaf, damaged, $"footer+{offset} = 0x{value:X}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Images))]
    public async Task Every_header_field_at_its_extremes_is_refused_or_read_alike(string image)
    {
        var fuzzCase = Corpus.Cases.Single(fuzzCase => fuzzCase.Description == image);
        var file = fuzzCase.Files[fuzzCase.Leaf];
        foreach (var (offset, size) in Mutator.IsBlockBased(file) ? Mutator.HeaderFields : [])
        {
            foreach (var value in Extremes(file.Length))
            {
                var damaged = (byte[])file.Clone();
                PlainWriting.Number(damaged, 512 + offset, value, size);
                Mutator.Mend(damaged);
                await JudgeAsync(fuzzCase, fuzzCase.Leaf, damaged, $"header+{offset} = 0x{value:X}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Images))]
    public async Task A_parent_that_is_gone_or_another_file_is_refused_or_read_alike(string image)
    {
        var fuzzCase = Corpus.Cases.Single(fuzzCase => fuzzCase.Description == image);
        foreach (var name in fuzzCase.Files.Keys.Where(name => name != fuzzCase.Leaf))
        {
            var without = fuzzCase.Files.Where(file => file.Key != name).ToDictionary();
            var outcome = await Oracle.JudgeAsync(fuzzCase with { Files = without }, FuzzVariant.Usual);
            Assert.Equal(FuzzOutcome.Refused, outcome);
            foreach (var other in Corpus.Cases.SelectMany(other => other.Files.Values))
            {
                await JudgeAsync(fuzzCase, name, other, $"{name} is another file");
            }
        }
    }

    private static async Task JudgeAsync(FuzzCase fuzzCase, string name, byte[] file, string damage)
    {
        try
        {
            var files = new Dictionary<string, byte[]>(fuzzCase.Files) { [name] = file };
            await Task.Run(() => Oracle.JudgeAsync(fuzzCase with { Files = files }, FuzzVariant.Usual)).WaitAsync(Patience.Hang);
        }
        catch (Exception exception) when (exception is OracleException or TimeoutException)
        {
            Assert.Fail($"{fuzzCase.Description}, {damage}: {exception}");
        }
    }

    /// <summary>Around each sector's edge, and between them in steps; the first kilobytes of a leaf, where the structures are, in small ones, or every byte if asked for.</summary>
    private static IEnumerable<int> Lengths(int fileLength, bool isLeaf)
    {
        for (var length = 0; length < fileLength; length++)
        {
            var inSector = length % 512;
            var isNearStructure = FuzzBudget.TriesEveryLength && (length < 4700 || length > fileLength - 1100);
            if (isNearStructure || inSector is 0 or 1 or 511 || (isLeaf && length < 2600 && length % 37 == 0) || length % 1013 == 0)
            {
                yield return length;
            }
        }
    }

    private static ulong[] Extremes(int fileLength) =>
        [0, 1, ulong.MaxValue, ulong.MaxValue >> 1, 0x8000_0000_8000_0000, (ulong)fileLength, (ulong)fileLength - 512, 511, 513, 1UL << 40];
}
