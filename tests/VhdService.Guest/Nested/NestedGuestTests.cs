using System.Text.RegularExpressions;
using VhdCore.Disks;
using VhdCore.Operations;
using VhdCore.Testing;

namespace VhdService.Guest.Nested;

/// <summary>What Debian's own drivers made of the disks, as they say themselves and as the images show afterwards.</summary>
public sealed partial class NestedGuestTests(NestedRun run) : IClassFixture<NestedRun>
{
    private const int Megabyte = 1 << 20;

    public static TheoryData<NestedGuest> Guests => [.. NestedGuest.All];

    public static TheoryData<NestedGuest> PluggedGuests => [.. NestedGuest.All.Where(guest => guest.HotImage is not null)];

    [Theory]
    [MemberData(nameof(Guests), DisableDiscoveryEnumeration = true)]
    public void A_guest_finds_its_disks_and_everything_it_tries_on_them_succeeds(NestedGuest guest)
    {
        var log = run.LogOf(guest.Name);
        Assert.DoesNotContain(log, line => line.StartsWith("BAD ", StringComparison.Ordinal));
        Assert.EndsWith(" exit=0", log[^1], StringComparison.Ordinal); // the monitor's own end
        string[] perDisk = ["read", "write", "small", "discard", "ext4"];
        var expected = new List<string> { "modules", "disks", "reload", "end" };
        expected.AddRange(guest.Disks.SelectMany((_, unit) => perDisk.Select(what => $"{what} {unit}")));
        if (guest.Mode == "plug")
        {
            expected.AddRange(["add", "add-reads", "resize", "resize-writes", "medium-error", "medium-error-ends", "medium-error-told", "heal", "remove"]);
        }

        if (guest.Processors > 1)
        {
            expected.Add("processors");
        }

        Assert.Equal(expected.Order(), log.Where(line => line.StartsWith("OK ", StringComparison.Ordinal)).Select(line => line[3..]).Order());
        Assert.Contains("Vmbus version:5.3", log);
    }

    [Theory]
    [MemberData(nameof(Guests), DisableDiscoveryEnumeration = true)]
    public void A_guest_sees_what_the_disks_say_of_themselves(NestedGuest guest)
    {
        var log = run.LogOf(guest.Name);
        for (var unit = 0; unit < guest.Disks.Length; unit++)
        {
            var info = Assert.Single(log, line => line.StartsWith($"INFO {unit} lbs=", StringComparison.Ordinal));
            Assert.Contains($"lbs={(guest.Disks[unit].Is4Kn ? 4096 : 512)} pbs=4096 ", info, StringComparison.Ordinal);
            Assert.Contains($"fua=1 cache=write-back rotational=0 size={NestedDisk.Length / 512} max=1024", info, StringComparison.Ordinal);
        }
    }

    [Theory]
    [MemberData(nameof(Guests), DisableDiscoveryEnumeration = true)]
    public void Two_processors_use_a_channel_each(NestedGuest guest)
    {
        var log = run.LogOf(guest.Name);
        var channels = log.Select(line => Channel().Match(line)).Where(match => match.Success).ToList();
        Assert.Equal(guest.Processors > 1 ? guest.Processors : 0, channels.Count);
        Assert.Equal(channels.Count, channels.Select(match => match.Groups[1].Value).Distinct().Count());
        Assert.All(channels, match => Assert.NotEqual("0", match.Groups[2].Value));
    }

    [Theory]
    [MemberData(nameof(Guests), DisableDiscoveryEnumeration = true)]
    public async Task The_images_are_sound_and_hold_what_the_guest_wrote(NestedGuest guest)
    {
        var log = run.LogOf(guest.Name);
        for (var unit = 0; unit < guest.Disks.Length; unit++)
        {
            var disk = guest.Disks[unit];
            await CheckAsync(disk.File(guest.Name));
            var content = ReadIndependently(disk, guest.Name);
            AssertSame(run.Pattern, content, 1 * Megabyte, "what was there");
            AssertSame(run.Pattern, content, 8 * Megabyte, "what was written");
            for (var i = 0; i < 12; i++)
            {
                AssertSame(run.Pattern.AsSpan(i * 3 * 4096, 4096), content, (2560 + (i * 5)) * 4096L, "a page");
            }

            if (guest.Processors > 1 && unit == 0)
            {
                AssertSame(run.Pattern, content, 20 * Megabyte, "what the second processor wrote");
            }

            var isZero = log.Contains($"INFO {unit} discarded=zeros");
            Assert.True(isZero || disk.Kind == DiskKind.FixedVhd, $"{disk} kept what was discarded.");
            for (var half = 16; half < 18; half++)
            {
                AssertSame(isZero ? new byte[Megabyte] : run.Pattern, content, half * Megabyte, "what was discarded");
            }

            CheckFileSystem(content.AsSpan((int)NestedDisk.PartitionStart), $"{guest.Name}-{unit}");
        }
    }

    [Theory]
    [MemberData(nameof(PluggedGuests), DisableDiscoveryEnumeration = true)]
    public async Task A_disk_that_was_plugged_in_and_grew_holds_what_was_written_at_its_new_end(NestedGuest guest)
    {
        _ = run.LogOf(guest.Name);
        var path = run.ImagePath(guest.HotImage!);
        await using var disk = await VirtualDisk.OpenAsync(path);
        var read = new byte[Megabyte];
        await disk.ReadAsync(90L * Megabyte, read);
        Assert.Equal(run.Pattern, read);
        if (Tools.Find("qemu-img") is not null)
        {
            Tools.Run("qemu-img", "check", "-f", "vhdx", path).EnsureSuccess();
        }
    }

    private static void AssertSame(ReadOnlySpan<byte> expected, byte[] content, long offset, string what) => Assert.True(
        expected.SequenceEqual(content.AsSpan((int)offset, expected.Length)), $"{what}, {expected.Length} bytes at {offset}, is something else.");

    private async Task CheckAsync(string name)
    {
        var report = await CheckOperation.RunAsync(run.ImagePath(name));
        Assert.DoesNotContain(report.Findings, finding => finding.Severity is not (CheckSeverity.Leak or CheckSeverity.Note)); // what was discarded in the middle stays there
    }

    // By a reader that shares no code with the engine.
    private byte[] ReadIndependently(NestedDisk disk, string guest)
    {
        var path = run.ImagePath(disk.File(guest));
        if (disk.Kind is DiskKind.FixedVhd or DiskKind.DynamicVhd)
        {
            using var chain = VhdCore.Testing.Independent.PlainChain.OpenFile(path);
            return chain.Read(0, (int)NestedDisk.Length);
        }

        string[] files = disk.Parent(guest) is { } parent ? [path, run.ImagePath(parent)] : [path];
        using var vhdx = VhdCore.Testing.Independent.PlainVhdxChain.Open([.. files.Select(File.OpenRead)]);
        return vhdx.Read(0, (int)NestedDisk.Length);
    }

    // The guest ended with the file system mounted: its journal has to be replayed before it is clean.
    private void CheckFileSystem(ReadOnlySpan<byte> partition, string name)
    {
        var path = run.Scratch($"{name}.ext4");
        File.WriteAllBytes(path, partition);
        var replay = Tools.Run(NestedRun.FindTool("e2fsck")!, ["-f", "-y", path], TimeSpan.FromMinutes(1));
        Assert.True(replay.ExitCode is 0 or 1, replay.Output + replay.Error);
        Assert.Contains("recovering journal", replay.Output + replay.Error, StringComparison.Ordinal);
        NestedRun.Shell("e2fsck", "-f", "-n", path);
        foreach (var file in new[] { "first", "third" })
        {
            var copy = run.Scratch($"{name}.{file}");
            NestedRun.Shell("debugfs", "-R", $"dump /{file} {copy}", path);
            Assert.Equal(run.Pattern, File.ReadAllBytes(copy));
            File.Delete(copy);
        }

        Assert.DoesNotContain("second", NestedRun.Shell("debugfs", "-R", "ls -p /", path).Output, StringComparison.Ordinal);
        File.Delete(path);
    }

    [GeneratedRegex(@"^CHANNEL \d+ cpu=(\d+) interrupts=(\d+)$")]
    private static partial Regex Channel();
}
