using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Fuzz;

/// <summary>
/// Damaged VHDX images: refused with the file as it was, or read as the independent reader reads them, and written to without harm to what was readable.
/// <see cref="FuzzBudget"/> says how many.
/// </summary>
public sealed class VhdxFuzzTests(ITestOutputHelper output)
{
    private const string Folder = "/vm/";
    private const int Samples = 40;
    private const int UsualCount = 400;

    private enum Outcome
    {
        Refused,
        Read,
        Written,
    }

    [Fact]
    public async Task Damaged_images_are_refused_or_read_and_written_without_harm()
    {
        var budget = new FuzzBudget(UsualCount);
        var outcomes = new int[3];
        var seed = budget.First;
        for (; budget.Covers(seed); seed++)
        {
            outcomes[(int)await TryAsync(VhdxMutator.Mutate(seed), seed)]++;
        }

        var count = seed - budget.First;
        var summary = $"{count} damaged VHDX images from seed {budget.First} on: {outcomes[0]} refused, {outcomes[1]} read only, {outcomes[2]} read and written.";
        output.WriteLine(summary);
        Console.WriteLine(summary);
        Assert.True(count < 100 || (outcomes[0] > count / 20 && outcomes[2] > count / 20), summary);
    }

    [Fact]
    public async Task Sound_images_are_read_and_written()
    {
        for (var seed = 0; seed < 30; seed++)
        {
            Assert.Equal(Outcome.Written, await TryAsync(VhdxMutator.Mutate(seed, isSound: true), seed));
        }
    }

    private async Task<Outcome> TryAsync(FuzzCase fuzzCase, int seed)
    {
        try
        {
            return await Task.Run(() => JudgeAsync(fuzzCase, seed)).WaitAsync(Patience.Hang);
        }
        catch (Exception exception)
        {
            output.WriteLine($"VHDKIT_FUZZ_SEED={seed}");
            Assert.Fail($"Seed {seed}: {exception}");
            throw;
        }
    }

    private static async Task<Outcome> JudgeAsync(FuzzCase fuzzCase, int seed)
    {
        var resolver = new MemoryStorageResolver();
        foreach (var (name, bytes) in fuzzCase.Files)
        {
            resolver.Add(Folder + name, bytes);
        }

        var path = Folder + fuzzCase.Leaf;
        var options = new ImageOpenOptions { Format = ImageFormat.Vhdx, TableCacheBytes = 1 << 20 };
        var before = await CheckOperation.RunAsync(path, options, resolver);
        Dictionary<long, byte[]> known;
        try
        {
            await using var disk = await VirtualDisk.OpenAsync(path, options, resolver);
            known = await ReadSomeAsync(disk, new Random(seed));
        }
        catch (ImageException exception)
        {
            Assert.NotNull(exception.Path);
            Assert.NotEmpty(before.Findings); // what is refused is named
            await ExpectNoWriterAsync(resolver, path, options, fuzzCase);
            return Outcome.Refused;
        }

        ComparePlainly(fuzzCase, known);
        return await WriteAsync(resolver, path, options, fuzzCase, known, before, new Random(seed + 1)) ? Outcome.Written : Outcome.Read;
    }

    /// <summary>Sectors of 4 KiB that could be read, by their offset.</summary>
    private static async Task<Dictionary<long, byte[]>> ReadSomeAsync(VirtualDisk disk, Random random)
    {
        var known = new Dictionary<long, byte[]>();
        for (var i = 0; i < Samples; i++)
        {
            var offset = random.NextInt64(Math.Min(disk.Length, 8 << 20)) / 4096 * 4096;
            offset = random.Next(8) == 0 ? random.NextInt64(disk.Length) / 4096 * 4096 : offset;
            var bytes = new byte[(int)Math.Min(4096, disk.Length - offset)];
            try
            {
                await disk.ReadAsync(offset, bytes);
                known[offset] = bytes;
            }
            catch (ImageException)
            {
                // its block's entry cannot be true
            }
        }

        return known;
    }

    private static void ComparePlainly(FuzzCase fuzzCase, Dictionary<long, byte[]> known)
    {
        PlainVhdxChain chain;
        try
        {
            var leaf = PlainVhdx.Open(new MemoryStream(fuzzCase.Files[fuzzCase.Leaf], writable: false));
            chain = leaf.HasParent ? new PlainVhdxChain(leaf, PlainVhdx.Open(new MemoryStream(fuzzCase.Files["base.vhdx"], writable: false))) : new PlainVhdxChain(leaf);
        }
        catch (Exception exception) when (exception is PlainFormatException or KeyNotFoundException or ArgumentException or IndexOutOfRangeException or OverflowException or EndOfStreamException)
        {
            return; // it is stricter in places
        }

        using (chain)
        {
            foreach (var (offset, bytes) in known)
            {
                byte[] expected;
                try
                {
                    expected = chain.Read(offset, bytes.Length);
                }
                catch (PlainFormatException)
                {
                    continue;
                }

                Assert.True(expected.AsSpan().SequenceEqual(bytes), $"The readers differ at byte {offset} of the disk.");
            }
        }
    }

    private static async Task<bool> WriteAsync(
        MemoryStorageResolver resolver, string path, ImageOpenOptions options, FuzzCase fuzzCase, Dictionary<long, byte[]> known, CheckReport before, Random random)
    {
        VirtualDisk disk;
        try
        {
            disk = await VirtualDisk.OpenAsync(path, options with { Writable = true }, resolver);
        }
        catch (ImageException)
        {
            Assert.True(fuzzCase.Files[fuzzCase.Leaf].AsSpan().SequenceEqual(resolver.GetBytes(path)), "A refused image was changed.");
            return false;
        }

        await using (disk)
        {
            for (var i = 0; i < 12; i++)
            {
                var offset = random.NextInt64(Math.Min(disk.Length, 6 << 20)) / 4096 * 4096;
                var bytes = new byte[(int)Math.Min(4096, disk.Length - offset)];
                random.NextBytes(bytes);
                await disk.WriteAsync(offset, bytes);
                known[offset] = bytes;
                if (i % 5 == 4)
                {
                    await disk.FlushAsync();
                }
            }
        }

        await using (disk = await VirtualDisk.OpenAsync(path, options, resolver))
        {
            foreach (var (offset, expected) in known)
            {
                var bytes = new byte[expected.Length];
                await disk.ReadAsync(offset, bytes);
                Assert.True(expected.AsSpan().SequenceEqual(bytes), $"Byte {offset} of the disk changed.");
            }
        }

        var worse = (await CheckOperation.RunAsync(path, options, resolver)).Findings
            .Where(finding => finding.Severity == CheckSeverity.Corruption && before.Findings.All(old => old.Id != finding.Id))
            .ToArray();
        Assert.True(worse.Length == 0, worse.Length == 0 ? "" : $"Writing left {worse[0]}.");
        return true;
    }

    private static async Task ExpectNoWriterAsync(MemoryStorageResolver resolver, string path, ImageOpenOptions options, FuzzCase fuzzCase)
    {
        await Assert.ThrowsAnyAsync<ImageException>(async () => await VirtualDisk.OpenAsync(path, options with { Writable = true }, resolver));
        Assert.True(fuzzCase.Files[fuzzCase.Leaf].AsSpan().SequenceEqual(resolver.GetBytes(path)), "A refused image was changed.");
    }
}
