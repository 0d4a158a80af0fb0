using System.Text.RegularExpressions;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Testing;
using VhdCore.Tests.Vhdx;

namespace VhdCore.Tests.Vhd;

public sealed partial class CheckFindingTests(ITestOutputHelper output)
{
    public static TheoryData<string> Ids => [.. DamagedImages.Ids, .. VhdxDamagedImages.Ids];

    [Fact]
    public void Every_id_has_an_image_that_shows_it() => Assert.Equal(
        CheckCatalogueTests.AllIds().Order(StringComparer.Ordinal),
        DamagedImages.Ids.Concat(VhdxDamagedImages.Ids).Append(VhdxCheckTests.TooLargeLogId).Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Ids))]
    public async Task Damage_is_found_and_refused_as_the_catalogue_says(string id)
    {
        var (severity, isRepairable, refusal) = CatalogueRow(id);
        var isVhdx = id.StartsWith("VHDX", StringComparison.Ordinal);
        var resolver = isVhdx ? VhdxDamagedImages.Make(id) : DamagedImages.Make(id);
        var path = isVhdx ? VhdxDamagedImages.Path : resolver.Exists("/vm/leaf.raw") ? "/vm/leaf.raw" : DamagedImages.Path;
        var format = path.EndsWith("raw", StringComparison.Ordinal) ? ImageFormat.Raw : (ImageFormat?)null;
        var before = resolver.GetBytes(path);
        var report = await CheckOperation.RunAsync(path, new ImageOpenOptions { Format = format }, resolver, TestContext.Current.CancellationToken);
        foreach (var each in report.Findings)
        {
            output.WriteLine(each.ToString());
        }

        var finding = Assert.Single(report.Findings, each => each.Id == id);
        Assert.Equal((severity, isRepairable), (finding.Severity.ToString().ToLowerInvariant(), finding.IsRepairable));
        Assert.InRange(finding.FileOffset!.Value, 0, before.Length);
        Assert.Equal(report.Findings.OrderBy(each => each.FileOffset), report.Findings);
        Assert.True(before.AsSpan().SequenceEqual(resolver.GetBytes(path)));

        var options = new ImageOpenOptions { Format = format };
        Assert.Equal(refusal is "always" or "checksum" or "when opened", await IsRefusedAsync(resolver, path, options));
        Assert.Equal(refusal is "always" or "when opened", await IsRefusedAsync(resolver, path, options with { IgnoreBadChecksum = true }));
        Assert.Equal(refusal != "no", await IsRefusedAsync(resolver, path, options with { Writable = true }));
    }

    [Fact]
    public async Task Of_many_findings_of_one_kind_a_thousand_are_listed_and_the_rest_counted()
    {
        var resolver = new MemoryStorageResolver();
        var image = new VhdCore.Testing.Independent.PlainVhdBuilder { FileName = "leaf.vhd", Size = 3000 * 512, BlockSize = 512, Dialect = VhdCore.Testing.Independent.PlainDialect.Qemu }.Build();
        Array.Clear(image, 1536, 3000 * 4);
        resolver.Add("/leaf.vhd", image);
        var report = await CheckOperation.RunAsync("/leaf.vhd", new ImageOpenOptions(), resolver, TestContext.Current.CancellationToken);
        Assert.Equal(1001, report.Findings.Count(finding => finding.Id == "VHD-BAT-IN-METADATA"));
        Assert.Contains(report.Findings, finding => finding.Message.Contains("2000 more", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(512)]
    [InlineData(1024)]
    [InlineData(2048)]
    [InlineData(4096)]
    public async Task Gaps_that_align_small_blocks_are_no_leak_and_larger_ones_are(int blockSize)
    {
        var resolver = new MemoryStorageResolver();
        var options = new ImageCreateOptions { Format = ImageFormat.Vhd, Size = 64 << 10, BlockSize = blockSize };
        await using (var disk = await VirtualDisk.CreateAsync("/new.vhd", options, resolver, TestContext.Current.CancellationToken))
        {
            for (var offset = 0; offset < 64 << 10; offset += 9000)
            {
                await disk.WriteAsync(offset, new byte[] { 1 }, cancellationToken: TestContext.Current.CancellationToken);
            }
        }

        var report = await CheckOperation.RunAsync("/new.vhd", null, resolver, TestContext.Current.CancellationToken);
        Assert.DoesNotContain(report.Findings, finding => finding.Id == "VHD-LEAK");

        var image = resolver.GetBytes("/new.vhd");
        resolver.Add("/longer.vhd", [.. image[..^512], .. new byte[16 << 10], .. image[^512..]]);
        report = await CheckOperation.RunAsync("/longer.vhd", null, resolver, TestContext.Current.CancellationToken);
        Assert.Contains(report.Findings, finding => finding.Id == "VHD-LEAK");
    }

    [Fact]
    public async Task A_new_image_has_no_finding_and_counts_nothing_allocated()
    {
        var resolver = new MemoryStorageResolver();
        var disk = await VirtualDisk.CreateAsync("/new.vhd", new ImageCreateOptions { Format = ImageFormat.Vhd, Size = 5 << 20 }, resolver, TestContext.Current.CancellationToken);
        await disk.DisposeAsync();
        var report = await CheckOperation.RunAsync("/new.vhd", null, resolver, TestContext.Current.CancellationToken);
        Assert.Empty(report.Findings);
        Assert.Equal((3, 0), (report.TotalBlocks, report.AllocatedBlocks));
        Assert.Equal(resolver.GetBytes("/new.vhd").Length, report.ImageEndOffset);
    }

    private static async Task<bool> IsRefusedAsync(MemoryStorageResolver resolver, string path, ImageOpenOptions options)
    {
        var before = resolver.GetBytes(path);
        try
        {
            await (await VirtualDisk.OpenAsync(path, options, resolver, TestContext.Current.CancellationToken)).DisposeAsync();
            return false;
        }
        catch (ImageException exception)
        {
            Assert.NotNull(exception.Path);
            Assert.True(before.AsSpan().SequenceEqual(resolver.GetBytes(path)));
            return true;
        }
    }

    private static (string Severity, bool IsRepairable, string Refusal) CatalogueRow(string id)
    {
        var row = CatalogueLine().Matches(File.ReadAllText(RepositoryFiles.PathOf("docs/check-findings.md"))).Single(match => match.Groups[1].Value == id);
        return (row.Groups[2].Value.Split(',')[0], row.Groups[3].Value == "yes", row.Groups[4].Value.Split(',')[0]);
    }

    [GeneratedRegex(@"^\| `([A-Z0-9-]+)` \| ([^|]+) \| (yes|no) \| ([^|]+) \|", RegexOptions.Multiline)]
    private static partial Regex CatalogueLine();
}
