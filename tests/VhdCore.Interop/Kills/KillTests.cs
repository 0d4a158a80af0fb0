using System.Diagnostics;
using System.Globalization;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using VhdCore.Victim;

namespace VhdCore.Interop.Kills;

/// <summary>
/// A real process is killed (SIGKILL) at any moment while it opens, writes, trims and flushes. What it was told to be durable is there, what was under way
/// is there or not, and the image is sound. VHDKIT_SEED changes the moments and what is written.
/// </summary>
public sealed class KillTests(ITestOutputHelper output)
{
    private const int MiB = 1 << 20;
    private const int MostFlushes = 12; // waited for before a kill

    // Auto is io_uring where there is one.
    private static readonly (StorageEngine, CallerWaits)[] Ways =
    [
        (StorageEngine.Auto, CallerWaits.ForMemory),
        (StorageEngine.Auto, CallerWaits.Never),
        (StorageEngine.Portable, CallerWaits.Never),
    ];

    private static int Seed => int.TryParse(Environment.GetEnvironmentVariable("VHDKIT_SEED"), CultureInfo.InvariantCulture, out var seed) ? seed : 1;

    [Theory]
    [InlineData("vhdx", false, 512, 26)]
    [InlineData("vhdx", true, 4096, 12)]
    [InlineData("vhd", false, 512, 6)]
    [InlineData("vhd", true, 512, 6)]
    public async Task Whatever_a_killed_process_was_told_to_be_durable_is_there(string format, bool isDifferencing, int sectorSize, int kills)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "needs SIGKILL");
        using var folder = new TempFolder();
        var image = await CreateAsync(folder, format, isDifferencing, sectorSize);
        var random = new Random(Seed);
        var content = await ReadAsync(image);
        var (beforeOpen, acknowledged, replays) = (0, 0, 0);
        for (var kill = 0; kill < kills; kill++)
        {
            var seed = (Seed * 100) + kill;
            var (engine, waits) = Ways[kill % Ways.Length];
            using var victim = new VictimProcess(image, seed, engine, waits);
            if (random.Next(5) != 0)
            {
                await victim.AcknowledgedAsync(random.Next(MostFlushes));
                await Task.Delay(random.Next(15));
            }
            else
            {
                await Task.Delay(random.Next(250)); // it opens, or replays, or has begun
            }

            await victim.KillAsync();
            var model = new VictimModel(content);
            for (var index = 0; index < victim.AcknowledgedCount; index++)
            {
                model.Acknowledged(seed, index);
            }

            model.Begun(seed, victim.AcknowledgedCount);
            beforeOpen += victim.IsOpened ? 0 : 1;
            acknowledged += victim.AcknowledgedCount;
            output.WriteLine($"seed {seed}, {engine} {waits}: killed after {(victim.IsOpened ? $"{victim.AcknowledgedCount} flushes" : "nothing: it was not open yet")}");
            content = await ReadAfterKillAsync(image);
            model.Judge(content, "the library");
            replays += await JudgeFileAsync(folder, image, isDifferencing, content);
        }

        output.WriteLine($"{kills} kills, {beforeOpen} of them before the image was open; {acknowledged} flushes; {replays} logs to replay");
        Assert.True(acknowledged > 0, "No flush was ever acknowledged.");
        Assert.True(format == "vhd" || replays > 0, "No log was ever to be replayed.");
    }

    private static async Task<string> CreateAsync(TempFolder folder, string format, bool isDifferencing, int sectorSize)
    {
        var options = new ImageCreateOptions
        {
            Format = format == "vhd" ? ImageFormat.Vhd : ImageFormat.Vhdx,
            Size = VictimScript.DiskSize,
            BlockSize = format == "vhd" ? null : MiB,
            LogicalSectorSize = format == "vhd" ? null : sectorSize,
        };
        if (!isDifferencing)
        {
            await (await VirtualDisk.CreateAsync(folder[$"leaf.{format}"], options)).DisposeAsync();
            return folder[$"leaf.{format}"];
        }

        await using (var parent = await VirtualDisk.CreateAsync(folder[$"base.{format}"], options))
        {
            await parent.WriteAsync(0, VictimScript.Content(0, VictimScript.DiskSize / 2, version: 1));
        }

        var child = new ImageCreateOptions
        {
            Format = options.Format,
            Kind = ImageKind.Differencing,
            Parent = folder[$"base.{format}"],
            BlockSize = options.BlockSize,
        };
        await (await VirtualDisk.CreateAsync(folder[$"leaf.{format}"], child)).DisposeAsync();
        return folder[$"leaf.{format}"];
    }

    /// <summary>The content, once the kernel has let go of the file: a ring ends after its process has, and keeps the file and its locks until then.</summary>
    private static async Task<byte[]> ReadAfterKillAsync(string image)
    {
        var start = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                return await ReadAsync(image);
            }
            catch (ImageInUseException) when (Stopwatch.GetElapsedTime(start) < Patience.Hang)
            {
                await Task.Delay(5);
            }
        }
    }

    private static async Task<byte[]> ReadAsync(string image)
    {
        await using var disk = await VirtualDisk.OpenAsync(image);
        var content = new byte[disk.Length];
        await disk.ReadAsync(0, content);
        return content;
    }

    /// <summary>The file as others see it, who all have to see the same disk.</summary>
    /// <returns>1 if a log had to be replayed.</returns>
    private static async Task<int> JudgeFileAsync(TempFolder folder, string image, bool isDifferencing, byte[] content)
    {
        var report = await CheckOperation.RunAsync(image);
        Assert.DoesNotContain(report.Findings, finding => finding.Severity == CheckSeverity.Corruption);
        if (image.EndsWith(".vhd", StringComparison.Ordinal))
        {
            using var chain = PlainChain.OpenFile(image);
            Assert.True(content.AsSpan().SequenceEqual(chain.Read(0, content.Length)), "The independent reader sees another disk.");
            return 0;
        }

        using var leaf = PlainVhdx.Open(File.OpenRead(image));
        using var all = isDifferencing ? new PlainVhdxChain(leaf, PlainVhdx.Open(File.OpenRead(folder["base.vhdx"]))) : new PlainVhdxChain(leaf);
        Assert.True(content.AsSpan().SequenceEqual(all.ReadAll()), "The independent reader sees another disk.");
        if (!isDifferencing && Tools.Find("qemu-img") is not null) // QEMU does not know VHDX children
        {
            File.Copy(image, folder["copy.vhdx"], overwrite: true);
            var check = Tools.Run("qemu-img", "check", "-f", "vhdx", "-r", "all", folder["copy.vhdx"]).EnsureSuccess(); // which replays
            Assert.Contains("No errors", check.Output, StringComparison.Ordinal);
            Tools.Run("qemu-img", "convert", "-f", "vhdx", "-O", "raw", folder["copy.vhdx"], folder["copy.raw"]).EnsureSuccess();
            Assert.True(content.AsSpan().SequenceEqual(File.ReadAllBytes(folder["copy.raw"])), "QEMU sees another disk.");
        }

        return leaf.ReplayedEntries > 0 ? 1 : 0;
    }
}
