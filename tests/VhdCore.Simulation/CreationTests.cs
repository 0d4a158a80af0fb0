using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Testing;
using VhdCore.Testing.Crash;

namespace VhdCore.Simulation;

/// <summary>An image appears under its name only when it is whole, and what had the name before stays until then.</summary>
public class CreationTests
{
    private const string Name = "/disk.vhd";
    private const int Size = 64 * 1024;

    [Theory]
    [InlineData(ImageFormat.Vhd, ImageKind.Fixed, false)]
    [InlineData(ImageFormat.Vhd, ImageKind.Dynamic, false)]
    [InlineData(ImageFormat.Vhd, ImageKind.Dynamic, true)]
    [InlineData(ImageFormat.Raw, ImageKind.Fixed, true)]
    public async Task A_cut_while_an_image_is_replaced_leaves_the_old_one_or_the_whole_new_one(ImageFormat format, ImageKind kind, bool isExtensionOrdered)
    {
        var old = Pattern.Create(0, 4096, 1);
        var world = new CrashWorld { IsExtensionOrdered = isExtensionOrdered };
        world.Add(Name, old);
        var random = new Random(1);
        var seen = (Old: 0, New: 0);
        world.OnStep = _ =>
        {
            for (var i = 0; i < 50; i++)
            {
                var left = world.Cut(random);
                if (left.GetBytes(Name).AsSpan().SequenceEqual(old))
                {
                    seen.Old++;
                }
                else
                {
                    AssertEmptyImage(left, format);
                    seen.New++;
                }
            }
        };
        var options = new ImageCreateOptions { Format = format, Kind = kind, Size = Size, BlockSize = kind == ImageKind.Dynamic ? 4096 : null };
        var disk = await VirtualDisk.CreateAsync(Name, options, world);
        world.OnStep = null;

        AssertEmptyImage(world.Cut(random), format);
        await disk.DisposeAsync();
        Assert.True(seen.Old > 0 && seen.New > 0, $"Cuts left {seen.Old} old and {seen.New} new images.");
    }

    private static void AssertEmptyImage(CrashWorld left, ImageFormat format)
    {
        var reading = ReadAsync(left, format);
        Assert.True(reading.IsCompleted);
        Assert.False(reading.GetAwaiter().GetResult().AsSpan().ContainsAnyExcept((byte)0));
    }

    private static async Task<byte[]> ReadAsync(CrashWorld left, ImageFormat format)
    {
        var report = await CheckOperation.RunAsync(Name, new ImageOpenOptions { Format = format }, left);
        Assert.DoesNotContain(report.Findings, finding => finding.Severity == CheckSeverity.Corruption);
        await using var disk = await VirtualDisk.OpenAsync(Name, new ImageOpenOptions { Format = format }, left);
        Assert.Equal(Size, disk.Length);
        return await disk.Device.ReadBytesAsync(0, Size);
    }
}
