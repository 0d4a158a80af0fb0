using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Testing;

namespace VhdCore.Tests.Vhd;

public sealed class CheckSampleTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("qemu-hyperv2012r2-dynamic.vhd", "")]
    [InlineData("dfvfs-fat-differential.vhd", "VHD-PARENT-NOT-FOUND")]
    [InlineData("dfvfs-ext2.vhd", "")]
    [InlineData("xs-base.vhd", "VHD-FOOTER-HIDDEN")]
    [InlineData("xs-snap1.vhd", "VHD-FOOTER-HIDDEN")]
    [InlineData("xs-snap2.vhd", "")]
    [InlineData("xs-rawchild.vhd", "VHD-PARENT-RAW")]
    [InlineData("xs-prealloc.vhd", "")]
    [InlineData("xs-fixed.vhd", "")]
    [InlineData("xapi-full.vhd", "VHD-SIZE-DIFFERS-BY-READER")]
    [InlineData("dfvfs-image.vhd", "VHD-FOOTER-COPY-CHECKSUM VHD-FOOTER-CHECKSUM")]
    [InlineData("xs-keyhash.vhd", "VHD-BATMAP-KEY-HASH")]
    [InlineData("xs-poisoned.vhd", "VHD-FOOTER-POISONED VHD-FOOTER-END-MISSING")]
    public async Task Images_of_other_programs_are_found_to_be_what_they_are(string name, string ids)
    {
        var resolver = new MemoryStorageResolver();
        foreach (var image in new[] { "xs-base.vhd", "xs-snap1.vhd", "xs-snap2.vhd", "xs-rawchild.vhd", name })
        {
            resolver.Add("/samples/" + image, VhdSamples.Read(image));
        }

        resolver.Add("/samples/xs-rawparent.raw", VhdSamples.Read("xs-rawparent.raw"));
        var report = await CheckOperation.RunAsync("/samples/" + name, new ImageOpenOptions(), resolver, TestContext.Current.CancellationToken);
        foreach (var finding in report.Findings)
        {
            output.WriteLine(finding.ToString());
        }

        Assert.Equal(ids.Split(' ', StringSplitOptions.RemoveEmptyEntries).Order(), report.Findings.Select(finding => finding.Id).Order());
        Assert.All(report.Findings, finding => Assert.NotNull(finding.FileOffset));
    }

    [Fact]
    public async Task A_fixed_disk_of_Windows_7_is_sound()
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add("/win7.vhd", []);
        var footer = VhdSamples.Read("win7-fixed-3G.footer.bin");
        await using (var storage = await resolver.OpenAsync("/win7.vhd", VhdCore.Storage.StorageOpenOptions.ForWriting, TestContext.Current.CancellationToken))
        {
            await storage.WriteBytesAsync(3221225472, footer, cancellationToken: TestContext.Current.CancellationToken);
        }

        var report = await CheckOperation.RunAsync("/win7.vhd", new ImageOpenOptions(), resolver, TestContext.Current.CancellationToken);
        Assert.Empty(report.Findings);
        Assert.Equal(3221225472 + 512, report.ImageEndOffset);
    }
}
