using System.Globalization;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Tests.Storage;

namespace VhdCore.Tests.Model;

/// <summary>
/// Chains against a plain byte array: requests of every kind at any alignment, from many threads, overlapping or side by side in one sector. On a medium of
/// moods in memory, and in files over each engine.
/// VHDKIT_SEED repeats the requests of one seed; what the threads make of them differs.
/// </summary>
public class ChainModelTests
{
    private const int SeedCount = 30;
    private const int SeedCountInFiles = 2; // of each format over each engine
    private const int Rounds = 5;
    private const int Workers = 6;
    private const int RequestsOfAWorker = 25;

    public static TheoryData<int> Seeds => int.TryParse(Environment.GetEnvironmentVariable("VHDKIT_SEED"), CultureInfo.InvariantCulture, out var seed)
        ? [seed]
        : [.. Enumerable.Range(1, SeedCount)];

    public static TheoryData<string, string, int> EnginesAndSeeds
    {
        get
        {
            var data = new TheoryData<string, string, int>();
            foreach (var engine in FileEngines.Keys)
            {
                foreach (var format in new[] { "vhd", "vhdx" })
                {
                    for (var seed = 1; seed <= SeedCountInFiles; seed++)
                    {
                        data.Add(engine, format, seed);
                    }
                }
            }

            return data;
        }
    }

    private static Dictionary<string, IoSettings> FileEngines { get; } = new()
    {
        ["ring"] = Engines.Ring,
        ["direct ring"] = Engines.DirectRing,
        ["threads"] = Engines.Threads,
        ["direct threads"] = Engines.DirectThreads,
    };

    [Theory]
    [MemberData(nameof(Seeds))]
    public Task A_chain_of_vhd_holds_what_a_byte_array_would(int seed) => RunAsync(seed, ModelChain.CreateVhdAsync);

    [Theory]
    [MemberData(nameof(Seeds))]
    public Task A_chain_of_vhdx_holds_what_a_byte_array_would(int seed) => RunAsync(seed, ModelChain.CreateVhdxAsync);

    [Theory]
    [MemberData(nameof(EnginesAndSeeds))]
    public async Task A_chain_in_files_holds_what_a_byte_array_would(string engine, string format, int seed)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "only Linux has both engines, and files with holes");
        var io = Engines.Require(FileEngines[engine]);
        using var folder = new TempFolder();
        await RunAsync(seed, async random =>
        {
            var chain = await (format == "vhdx" ? ModelChain.CreateVhdxAsync(random) : ModelChain.CreateVhdAsync(random));
            await chain.MoveToFilesAsync(folder.Path, io);
            return chain;
        });
    }

    private static async Task RunAsync(int seed, Func<Random, Task<ModelChain>> create)
    {
        var random = new Random(seed);
        var chain = await create(random);
        var content = chain.Content;
        var disk = await OpenAsync(chain);
        try
        {
            Assert.Equal(content.Length, disk.Length);
            for (var round = 0; round < Rounds; round++)
            {
                content = await RoundAsync(disk, content, random, chain, $"seed {seed}, round {round}, {chain}");
                switch (random.Next(4))
                {
                    case 0:
                        await disk.DisposeAsync();
                        disk = await OpenAsync(chain);
                        break;

                    case 1:
                        // As a killed process leaves it: in a VHDX, with a log.
                        Assert.Equal(BlockStatus.Ok, await disk.Device.FlushAsync());
                        await chain.RememberLeafAsync();
                        await disk.DisposeAsync();
                        chain.RestoreLeaf();
                        disk = await OpenAsync(chain);
                        break;
                }
            }
        }
        finally
        {
            await disk.DisposeAsync();
        }

        if (chain.Leaf.EndsWith(".vhdx", StringComparison.Ordinal))
        {
            var plain = await chain.ReadPlainlyAsync();
            Assert.True(content.AsSpan().SequenceEqual(plain), $"seed {seed}: the independent reader reads another disk; {chain}");
        }
        else
        {
            var report = await CheckOperation.RunAsync(chain.Leaf, resolver: chain.Resolver);
            Assert.DoesNotContain(report.Findings, finding => finding.Severity == CheckSeverity.Corruption);
        }

        await using var reader = await VirtualDisk.OpenAsync(chain.Leaf, resolver: chain.Resolver);
        var read = await reader.Device.ReadBytesAsync(0, content.Length);
        Assert.True(content.AsSpan().SequenceEqual(read), $"seed {seed}: opened for reading, the disk is another; {chain}");
    }

    private static ValueTask<VirtualDisk> OpenAsync(ModelChain chain) =>
        VirtualDisk.OpenAsync(chain.Leaf, new ImageOpenOptions { Writable = true, Format = chain.Leaf.EndsWith("raw", StringComparison.Ordinal) ? ImageFormat.Raw : null }, chain.Resolver);

    /// <summary>Lets all threads loose, judges what they read, and returns what the disk holds after.</summary>
    private static async Task<byte[]> RoundAsync(VirtualDisk disk, byte[] content, Random random, ModelChain chain, string where)
    {
        var log = new RequestLog(content, readsMayTear: chain.IsInFiles);
        var seeds = Enumerable.Range(0, Workers).Select(_ => random.Next()).ToArray();
        await Task.WhenAll(seeds.Select(seed => Task.Run(() => WorkAsync(disk, log, new Random(seed), content.Length, chain.ReleaseUnit))));
        var begin = log.Now();
        var after = await disk.Device.ReadBytesAsync(0, content.Length);
        log.AddRead(0, after, begin);
        Assert.True(log.Judge() is not { } complaint, $"{where}: {log.Judge()}");
        return after;
    }

    private static async Task WorkAsync(VirtualDisk disk, RequestLog log, Random random, int size, int releaseUnit)
    {
        for (var i = 0; i < RequestsOfAWorker; i++)
        {
            var (offset, length) = Pick(random, size);
            var kind = random.Next(16);
            if (kind is 11 or 12 && random.Next(2) == 0)
            {
                offset = random.Next(((size - 1) / releaseUnit) + 1) * releaseUnit;
                length = Math.Min(releaseUnit * random.Next(1, 5), size - offset);
            }

            switch (kind)
            {
                case < 7:
                    await WriteAsync(disk, log, random, offset, length);
                    break;

                case < 11:
                    var begin = log.Now();
                    log.AddRead(offset, await disk.Device.ReadBytesAsync(offset, length), begin);
                    break;

                case 11:
                    var trim = log.BeginChange(offset, length, content: null, isHint: true);
                    Assert.Equal(BlockStatus.Ok, await disk.Device.TrimAsync(offset, length));
                    log.End(trim);
                    break;

                case 12:
                    var zero = log.BeginChange(offset, length, content: null);
                    Assert.Equal(BlockStatus.Ok, await disk.Device.ZeroAsync(offset, length));
                    log.End(zero);
                    break;

                case 13:
                    var run = await disk.Device.MapAsync(offset, length);
                    Assert.Equal((BlockStatus.Ok, offset), (run.Status, (int)run.Offset));
                    Assert.InRange(run.Length, 1, length);
                    break;

                default:
                    Assert.Equal(BlockStatus.Ok, await disk.Device.FlushAsync());
                    break;
            }
        }
    }

    private static async Task WriteAsync(VirtualDisk disk, RequestLog log, Random random, int offset, int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        var change = log.BeginChange(offset, length, bytes);
        Assert.Equal(BlockStatus.Ok, await disk.Device.WriteBytesAsync(offset, bytes, random.Next(10) == 0 ? WriteFlags.Fua : WriteFlags.None));
        log.End(change);
    }

    /// <summary>A range: whole sectors, parts of one, anything; often in a corner where the threads meet.</summary>
    private static (int Offset, int Length) Pick(Random random, int size)
    {
        var span = random.Next(3) == 0 ? Math.Min(size, 16 * RequestLog.SectorSize) : size;
        switch (random.Next(4))
        {
            case 0:
                var sector = random.Next(span / RequestLog.SectorSize);
                return (sector * RequestLog.SectorSize, RequestLog.SectorSize * random.Next(1, Math.Min(16, (size / RequestLog.SectorSize) - sector) + 1));

            case 1:
                var small = random.Next(span - 64);
                return (small, random.Next(1, 64));

            case 2:
                var start = random.Next(span / 4096) * 4096;
                return (start, Math.Min(random.Next(1, 5) * 4096, size - start));

            default:
                var offset = random.Next(span);
                return (offset, random.Next(1, Math.Min(size - offset, 20_000) + 1));
        }
    }
}
