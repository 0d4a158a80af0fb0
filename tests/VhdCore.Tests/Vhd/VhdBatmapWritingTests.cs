using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Tests.Vhd;

/// <summary>An image with XenServer's batmap, written here: the map is not touched, and stays true.</summary>
public class VhdBatmapWritingTests
{
    private const string Name = "/disk.vhd";
    private const int BlockSize = 4096;
    private const int Size = 16 * BlockSize;

    [Fact]
    public async Task A_trimmed_block_that_the_batmap_names_keeps_its_place()
    {
        var image = new PlainVhdBuilder { FileName = Name[1..], Size = Size, BlockSize = BlockSize, Dialect = PlainDialect.Xen }.PutText(0, 4 * BlockSize / 512);
        var memory = new MemoryStorageResolver();
        memory.Add(Name, image.Build());
        var length = memory.GetBytes(Name).Length;
        await using (var disk = await VirtualDisk.OpenAsync(Name, new ImageOpenOptions { Writable = true }, memory))
        {
            Assert.Equal(BlockStatus.Ok, await disk.Device.TrimAsync(0, BlockSize));
            Assert.Equal(BlockStatus.Ok, await disk.Device.ZeroAsync(BlockSize, BlockSize));
            Assert.Equal(BlockStatus.Ok, await disk.Device.TrimAsync(8 * BlockSize, BlockSize));
        }

        var report = await CheckOperation.RunAsync(Name, resolver: memory);
        Assert.DoesNotContain(report.Findings, finding => finding.Severity == CheckSeverity.Corruption);
        Assert.Equal(4, report.AllocatedBlocks);
        Assert.Equal(length, memory.GetBytes(Name).Length);
        await using var reader = await VirtualDisk.OpenAsync(Name, resolver: memory);
        var expected = image.Content();
        expected.AsSpan(BlockSize, BlockSize).Clear();
        Assert.Equal(expected, await reader.Device.ReadBytesAsync(0, Size));
    }
}
