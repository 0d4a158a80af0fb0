using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;

namespace VhdCore.Interop.Samples;

/// <summary>The sample images read through the library to their known content, or are refused for the right reason; never changed by it.</summary>
public sealed class SampleImageTests
{
    [Theory]
    [InlineData("dfvfs-ext2.vhd", 4212736, "870be7ae16c1fa8faab05c6eb9205dc9a7ae35c5f552c5cf8a267c0bc6a5cb99")]
    [InlineData("xs-base.vhd", 16777216, "006d69db590f5eea8481e6ecb3ecdfee9746e97d93d14cd98e961af55eede6a4")]
    [InlineData("xs-snap1.vhd", 16777216, "617c4483befdce42dc50233c1a22aa63d16d708f891e23a8920fec983ee386a1")]
    [InlineData("xs-snap2.vhd", 16777216, "b8b22cdf88266adc14cfc2650cd34b530c44c4eee1de3c96c6b216fc4cab2cdf")]
    [InlineData("xs-rawchild.vhd", 4194304, "0aede0163667ee3b3de9771c1a141bdf3e846e674f11b8b6636441b486f619fe")]
    [InlineData("xs-prealloc.vhd", 33554432, "89d1ccab7e330fec4a26d5140069268b06f27de6a1eca83fe90db9c887cd7d58")]
    [InlineData("xs-fixed.vhd", 4194304, "bb9f8df61474d25e71fa00722318cd387396ca1736605e1248821cc0de3d3af8")]
    public async Task An_image_reads_to_its_known_content(string name, long size, string hash)
    {
        using var samples = SampleFolder.With("xs-base.vhd", "xs-snap1.vhd", "xs-snap2.vhd", "xs-rawchild.vhd", "xs-rawparent.raw", "dfvfs-ext2.vhd", "xs-prealloc.vhd", "xs-fixed.vhd");
        using var watch = new UnchangedFolder(samples.Path);
        await using var disk = await VirtualDisk.OpenAsync(samples[name]);
        Assert.Equal(size, disk.Length);
        Assert.Equal(hash, await HashAsync(disk));
    }

    [Theory]
    [InlineData("qemu-hyperv2012r2-dynamic.vhd", 136365211648)]
    [InlineData("win7-fixed-3G.vhd", 3221225472)]
    public async Task An_empty_disk_has_its_size_and_reads_as_zeros(string name, long size)
    {
        using var samples = SampleFolder.With("qemu-hyperv2012r2-dynamic.vhd", "win7-fixed-3G.footer.bin");
        using (var file = File.Create(samples["win7-fixed-3G.vhd"]))
        {
            file.SetLength(3221225472);
            file.Position = 3221225472;
            file.Write(File.ReadAllBytes(samples["win7-fixed-3G.footer.bin"]));
        }

        using var watch = new UnchangedFolder(samples.Path, hash: false);
        await using var disk = await VirtualDisk.OpenAsync(samples[name]);
        Assert.Equal(size, disk.Length);
        long covered = 0;
        await foreach (var run in disk.GetExtentsAsync())
        {
            Assert.True(run.IsZero, $"{run}");
            covered += run.Length;
        }

        Assert.Equal(size, covered);
        var last = new byte[512];
        await disk.ReadAsync(size - 512, last);
        Assert.Equal(new byte[512], last);
    }

    [Fact]
    public async Task A_wrong_checksum_is_refused_unless_ignored()
    {
        using var samples = SampleFolder.With("dfvfs-image.vhd");
        using var watch = new UnchangedFolder(samples.Path);
        var refusal = await Assert.ThrowsAsync<CorruptImageException>(async () => await VirtualDisk.OpenAsync(samples["dfvfs-image.vhd"]));
        Assert.Contains("checksum", refusal.Message, StringComparison.Ordinal);
        await using var disk = await VirtualDisk.OpenAsync(samples["dfvfs-image.vhd"], new ImageOpenOptions { IgnoreBadChecksum = true });
        Assert.Equal(104448, disk.Length);
        Assert.Equal("c6db12a7db548e193c29420c1b4533e4708b20c5033db5cc29ef075d48316d25", await HashAsync(disk)); // as PlainReaderSampleTests has it
    }

    [Theory]
    [InlineData("xs-keyhash.vhd", "encrypted")]
    [InlineData("xs-poisoned.vhd", "v_poison")]
    public async Task A_disk_that_cannot_be_read_rightly_is_refused_and_still_described(string name, string reason)
    {
        using var samples = SampleFolder.With(name);
        using var watch = new UnchangedFolder(samples.Path);
        foreach (var writable in new[] { false, true })
        {
            var refusal = await Assert.ThrowsAsync<UnsupportedImageException>(
                async () => await VirtualDisk.OpenAsync(samples[name], new ImageOpenOptions { Writable = writable }));
            Assert.Contains(reason, refusal.Message, StringComparison.Ordinal);
        }

        var info = Assert.Single(await InfoOperation.RunAsync(samples[name], null, null, wholeChain: true));
        Assert.True(info.IsRefused);
        var report = await CheckOperation.RunAsync(samples[name]);
        Assert.Contains(report.Findings, finding => finding.Message.Contains(reason, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_child_made_by_Windows_reads_over_a_parent_of_that_identifier_and_is_refused_without()
    {
        using var samples = SampleFolder.With("dfvfs-fat-differential.vhd");
        await Assert.ThrowsAsync<ParentMismatchException>(async () => await VirtualDisk.OpenAsync(samples["dfvfs-fat-differential.vhd"]));
        File.WriteAllBytes(samples["fat-parent.vhd"], FatParent.Image(fill: 0x5A));
        using var watch = new UnchangedFolder(samples.Path);
        await using var disk = await VirtualDisk.OpenAsync(samples["dfvfs-fat-differential.vhd"]);
        using var plain = Testing.Independent.PlainChain.OpenFile(samples["dfvfs-fat-differential.vhd"]);
        var content = new byte[disk.Length];
        await disk.ReadAsync(0, content);
        Assert.Equal(plain.ReadAll(), content);
    }

    [Fact]
    public async Task A_disk_exported_by_xapi_has_all_of_its_current_size()
    {
        using var samples = SampleFolder.With("xapi-full.vhd");
        using var watch = new UnchangedFolder(samples.Path);
        await using var disk = await VirtualDisk.OpenAsync(samples["xapi-full.vhd"]);
        using var plain = Testing.Independent.PlainChain.OpenFile(samples["xapi-full.vhd"]);
        Assert.Equal(16777216, disk.Length);
        Assert.Equal(plain.Hash(), await HashAsync(disk));
    }

    [Theory]
    [InlineData("qemu-hyperv2012r2-dynamic.vhd")]
    [InlineData("xs-base.vhd")]
    [InlineData("xs-snap1.vhd")]
    [InlineData("xs-snap2.vhd")]
    [InlineData("xs-prealloc.vhd")]
    [InlineData("xs-rawchild.vhd")]
    [InlineData("xs-fixed.vhd")]
    [InlineData("dfvfs-ext2.vhd")]
    [InlineData("dfvfs-fat-differential.vhd")]
    [InlineData("xapi-full.vhd")]
    public async Task What_other_programs_made_passes_the_check(string name)
    {
        using var samples = SampleFolder.With(name);
        var report = await CheckOperation.RunAsync(samples[name]);
        Assert.DoesNotContain(report.Findings, finding => finding.Severity is CheckSeverity.Corruption or CheckSeverity.Leak);
    }

    private static async Task<string> HashAsync(VirtualDisk disk)
    {
        using var hash = System.Security.Cryptography.IncrementalHash.CreateHash(System.Security.Cryptography.HashAlgorithmName.SHA256);
        var buffer = new byte[100_000];
        for (long offset = 0; offset < disk.Length; offset += buffer.Length)
        {
            var piece = buffer.AsMemory(0, (int)Math.Min(buffer.Length, disk.Length - offset));
            await disk.ReadAsync(offset, piece);
            hash.AppendData(piece.Span);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
